import json
from collections.abc import Callable

import pytest

from awlab.plan import Plan, Run
from awlab.record import claim as claims
from awlab.record.claim import claim
from awlab.record.run_directory import RunDirectory
from awlab.report.progress import DAMAGED, Progress, progress_of

METRIC = "test/top1_error"


@pytest.fixture
def run(make_plan: Callable[..., Plan]) -> Run:
    return make_plan().runs[0]


@pytest.fixture
def begun(run: Run) -> RunDirectory:
    """One of two epochs is validated."""
    run.directory.create(run.experiment)
    row = {"epoch": 0, "step": 20, "val/loss": 1.0, "val/top1_error": 40.0}
    run.directory.metrics.write_text(json.dumps(row) + "\n")
    return run.directory


def test_a_run_that_has_not_begun(run: Run) -> None:
    assert progress_of(run, METRIC) == Progress("missing")


def test_a_finished_run_has_the_metric_of_the_study(
    run: Run, finish: Callable[..., RunDirectory]
) -> None:
    finish(run, 12.5)
    assert progress_of(run, METRIC) == Progress("finished", value=12.5, epochs=2, fraction=1.0)
    assert progress_of(run, "val/top1_error").value == 49.0
    assert progress_of(run, "test/f1").value is None


def test_a_damaged_result_is_no_success(run: Run, finish: Callable[..., RunDirectory]) -> None:
    finish(run, 12.5).result.write_text("{")
    assert progress_of(run, METRIC) == Progress("failed", failure=DAMAGED)


@pytest.mark.usefixtures("begun")
def test_an_interrupted_run_has_come_this_far(run: Run) -> None:
    expected = Progress("interrupted", value=40.0, epochs=1, fraction=0.5)
    assert progress_of(run, METRIC) == expected


def test_a_failed_run_says_how(run: Run, begun: RunDirectory) -> None:
    begun.fail("diverged", "at step 7")
    expected = Progress("failed", failure="diverged", value=40.0, epochs=1, fraction=0.5)
    assert progress_of(run, METRIC) == expected


def test_a_run_that_is_being_executed_is_running_here_or_elsewhere(
    run: Run, begun: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun.fail("diverged", "before it was started again")
    with claim(begun.path):
        found = progress_of(run, METRIC)
        assert (found.state, found.host, found.failure) == ("running", "", "")
    monkeypatch.setattr(claims.socket, "gethostname", lambda: "another")
    with claim(begun.path):
        monkeypatch.undo()
        found = progress_of(run, METRIC)
        assert (found.state, found.host) == ("running", "another")


def test_rows_without_an_error_are_passed_over(run: Run, begun: RunDirectory) -> None:
    begun.metrics.write_text('{"epoch": 0, "step": 20, "val/loss": 1.0}\n')
    found = progress_of(run, METRIC)
    assert (found.value, found.epochs) == (None, 1)
