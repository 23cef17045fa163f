import os
import signal
import threading
import time

import pytest

from awlab.execute import child, study
from awlab.execute.devices import Devices
from awlab.execute.outcome import Outcome
from awlab.plan import Plan


class Listener:
    """A view that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def started(self, identity: str) -> None:
        self.told.append((identity, "started"))

    def ended(self, identity: str, outcome: str, *, again: bool) -> None:
        self.told.append((identity, f"{outcome} again" if again else outcome))

    def refresh(self) -> None: ...


@pytest.mark.timeout(300)
def test_runs_are_really_trained_in_warm_children(tiny_plan: Plan) -> None:
    """Torch is imported once, in the server; two real trainings follow."""
    runs, view = tiny_plan.runs[:2], Listener()
    outcomes = study.execute(runs, Devices(cores=1), view)
    assert outcomes == {run.id: Outcome.FINISHED for run in runs}, [
        run.directory.log.read_text() for run in runs
    ]
    assert [told for _, told in view.told] == ["started", "finished"] * 2
    assert all(run.directory.state == "finished" for run in runs)


def test_sigterm_ends_the_study_like_an_interrupt(
    tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "PRELOAD", ("awlab.execute.server",))
    before = signal.getsignal(signal.SIGTERM)
    view = Listener()

    def terminate() -> None:
        while not view.told:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate).start()
    with pytest.raises(KeyboardInterrupt):
        study.execute(tiny_plan.runs, Devices(cores=1), view)
    assert signal.getsignal(signal.SIGTERM) is before
    assert all(run.directory.state != "finished" for run in tiny_plan.runs)
