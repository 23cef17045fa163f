from pathlib import Path

import pytest

from awlab.execute import child, networks
from awlab.execute.networks import build_networks
from awlab.execute.stop import StopRequests
from awlab.plan import Plan
from awlab.plan.networks import Network, recall
from awlab.spec.errors import InputError

CODE = """
import time
from awlab.plan.networks import Network
from awlab.spec.errors import Problem, SpecError

def answer(plan): return {cell.name: Network(1, 2.0, "same") for cell in plan.cells}
def refuse(plan): raise SpecError([Problem("axes", "model: does not fit (cell conv=aw,lr=0.1)")])
def sleep(plan): time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _in_place_of_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "building.py").write_text(CODE)
    monkeypatch.setattr(child, "PRELOAD", ("awlab.execute.server",))
    monkeypatch.syspath_prepend(tmp_path)


def test_what_was_built_is_remembered(tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "TARGET", "building:answer")
    found = build_networks(tiny_plan, StopRequests())
    assert found == {cell.name: Network(1, 2.0, "same") for cell in tiny_plan.cells}
    assert recall(tiny_plan) == found


def test_what_cannot_be_built_is_said_here(
    tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "TARGET", "building:refuse")
    with pytest.raises(InputError, match=r"model: does not fit \(cell conv=aw,lr=0.1\)"):
        build_networks(tiny_plan, StopRequests())
    assert recall(tiny_plan) == {}


def test_a_request_to_end_is_heard(tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "TARGET", "building:sleep")
    stop = StopRequests()
    stop.code = 130
    assert build_networks(tiny_plan, stop) == {}
