import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from awlab.execute import child, study
from awlab.execute.backend import Local
from awlab.execute.devices import Devices
from awlab.execute.outcome import Outcome
from awlab.execute.smoke import Tried
from awlab.execute.stop import StopRequests
from awlab.execute.study import Study
from awlab.plan import Plan, Run
from awlab.record.claim import claim


class Listener:
    """A view that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.said: list[str] = []

    def say(self, doing: str) -> None:
        self.said.append(doing)

    def started(self, identity: str) -> None:
        self.told.append((identity, "started"))

    def ended(self, identity: str, outcome: str, *, again: bool, message: str = "") -> None:
        self.told.append((identity, f"{outcome} again" if again else outcome))

    def stopping(self) -> None:
        self.said.append("stopping")

    def refresh(self) -> None: ...


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import torch nowhere but in the runs themselves, and try nothing beforehand."""
    monkeypatch.setattr(child, "PRELOAD", ("awlab.execute.server",))
    monkeypatch.setattr(study, "try_out", lambda *_: iter(()))


@pytest.mark.timeout(300)
def test_runs_are_really_tried_and_trained_in_warm_children(tiny_plan: Plan) -> None:
    """Torch is imported once, in the server; a smoke test and two trainings follow."""
    runs, view = tiny_plan.runs[:2], Listener()
    with StopRequests() as stop:
        outcomes = Study(tiny_plan, Local(Devices(cores=1)), stop).execute(runs, view)
    assert outcomes == {run.id: Outcome.FINISHED for run in runs}, [
        run.directory.log.read_text() for run in runs
    ]
    assert [told for _, told in view.told] == ["started", "finished"] * 2
    assert all(run.directory.state == "finished" for run in runs)
    assert view.said == [
        "smoke test: 0 of 1 architectures",
        "smoke test: 1 of 1 architectures",
        "",
    ]


@pytest.mark.usefixtures("light")
def test_a_request_ends_the_study_and_leaves_the_handlers_as_they_were(tiny_plan: Plan) -> None:
    before = signal.getsignal(signal.SIGTERM)
    view = Listener()

    def terminate() -> None:
        while not view.told:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate).start()
    with StopRequests() as stop:
        outcomes = Study(tiny_plan, Local(Devices(cores=1)), stop).execute(tiny_plan.runs, view)
    assert signal.getsignal(signal.SIGTERM) is before
    assert list(outcomes.values()) == [Outcome.PREEMPTED]
    assert view.said[-1] == "stopping"
    assert [told for _, told in view.told] == ["started", "preempted"]


@pytest.mark.usefixtures("light")
def test_an_architecture_that_fails_fails_its_runs_and_no_others(
    tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def try_out(groups: Sequence[tuple[Run, ...]], *_: object) -> Iterator[Tried]:
        for group in groups:
            bad = group[0].cell.startswith("conv=aw")
            yield Tried(group, "out of memory", "a story") if bad else Tried(group)

    monkeypatch.setattr(study, "try_out", try_out)
    bad = [run for run in tiny_plan.runs if run.cell.startswith("conv=aw")]
    view, stop = Listener(), StopRequests()
    bad[0].directory.create(bad[0].experiment)
    bad[1].directory.create(bad[1].experiment)
    edited = bad[1].directory.experiment
    edited.write_text(edited.read_text().replace("epochs: 1", "epochs: 2"))
    with claim(bad[0].path):  # Somebody else is executing it already.
        outcomes = Study(tiny_plan, Local(Devices(cores=1)), stop, fail_fast=True).execute(
            tiny_plan.runs, view
        )
    expected = [Outcome.ERROR, Outcome.OUT_OF_MEMORY, Outcome.OUT_OF_MEMORY]
    assert outcomes == dict(zip([run.id for run in bad[1:]], expected, strict=True))
    assert view.told == list(outcomes.items())
    assert [run.directory.state for run in bad] == ["interrupted"] * 2 + ["failed"] * 2
    assert bad[2].directory.error.read_text() == "out of memory\nin the smoke test: a story\n"
