import os
import time
from pathlib import Path

import pytest

from awlab.execute import child, smoke
from awlab.execute.backend import Local
from awlab.execute.devices import Devices
from awlab.execute.smoke import Tried, try_out, untried
from awlab.execute.stop import StopRequests
from awlab.plan import Plan, plan
from awlab.spec.errors import InputError

CODE = """
import os, time
from awlab.spec.errors import InputError

def smoke(experiment, devices):
    lr = experiment.training.optimizer.lr
    with open(os.environ["TRIED"], "a") as tried:
        print(experiment.model.conv and "aw", experiment.runtime.accelerator, devices, file=tried)
    if experiment.model.conv is None:
        return None
    {then}
"""


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Call a function of a file, in place of the real smoke test."""
    monkeypatch.setattr(child, "PRELOAD", ("awlab.execute.server",))
    monkeypatch.setenv("TRIED", str(tmp_path / "tried.txt"))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def tried(plan: Plan, target: Path, name: str, then: str) -> list[Tried]:
    (target / f"{name}.py").write_text(CODE.format(then=then))
    groups = untried(plan, plan.runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smoke, "TARGET", f"{name}:smoke")
        found = list(try_out(groups, Local(Devices(cores=1)), target / "log.txt", StopRequests()))
    return sorted(found, key=lambda one: one.runs[0].cell)


def test_runs_that_differ_in_seed_and_learning_rate_have_one_architecture(tiny_plan: Plan) -> None:
    groups = untried(tiny_plan, tiny_plan.runs)
    assert [{run.cell for run in group} for group in groups] == [
        {"conv=plain,lr=0.1", "conv=plain,lr=0.2"},
        {"conv=aw,lr=0.1", "conv=aw,lr=0.2"},
    ]
    assert [len(group) for group in groups] == [4, 4]
    assert untried(tiny_plan, tiny_plan.runs[:1]) == [tiny_plan.runs[:1]]


def test_what_a_finished_run_has_proven_is_not_tried(tiny_plan: Plan) -> None:
    run = tiny_plan["conv=plain,lr=0.2"].runs[1]
    run.directory.create(run.experiment)
    run.directory.result.write_text("{}")
    today = plan(tiny_plan.ablation)
    groups = untried(today, [run for run in today.runs if run.state == "missing"])
    assert [{run.cell for run in group} for group in groups] == [
        {"conv=aw,lr=0.1", "conv=aw,lr=0.2"}
    ]


def test_one_try_speaks_for_all_runs_of_an_architecture(tiny_plan: Plan, target: Path) -> None:
    aw, plain = tried(tiny_plan, target, "fails", "return 'diverged', 'a story'")
    assert (aw.failure, aw.story, len(aw.runs)) == ("diverged", "a story", 4)
    assert (plain.failure, len(plain.runs)) == (None, 4)
    assert sorted((target / "tried.txt").read_text().splitlines()) == ["None cpu 1", "aw cpu 1"]


def test_a_try_that_is_killed_is_told(tiny_plan: Plan, target: Path) -> None:
    aw, _ = tried(tiny_plan, target, "dies", "os.kill(os.getpid(), 9)")
    assert (aw.failure, aw.story) == ("killed", "the process died: Killed")


def test_what_the_user_can_mend_is_raised_with_its_cell(tiny_plan: Plan, target: Path) -> None:
    with pytest.raises(InputError, match=r"no data \(cell conv=aw,lr=0.1\)"):
        tried(tiny_plan, target, "refuses", "raise InputError('no data')")


def test_a_request_to_end_kills_what_is_being_tried(
    tiny_plan: Plan, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (target / "sleeps.py").write_text(CODE.format(then="time.sleep(60)"))
    monkeypatch.setattr(smoke, "TARGET", "sleeps:smoke")
    stop, devices = StopRequests(), Devices(cores=1)
    tries = try_out(untried(tiny_plan, tiny_plan.runs), Local(devices), target / "log.txt", stop)
    assert next(tries).failure is None
    stop.code = 130
    begin = time.monotonic()
    assert list(tries) == []
    assert time.monotonic() - begin < 30
    assert devices.lend() is not None
    assert os.environ["TRIED"]
