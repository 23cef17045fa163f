from pathlib import Path

import pytest

from awlab.execute.outcome import Outcome, outcome_of
from awlab.record.run_directory import RunDirectory


@pytest.mark.parametrize(
    ("code", "error", "expected"),
    [
        (75, None, Outcome.PREEMPTED),
        (-15, None, Outcome.PREEMPTED),
        (130, None, Outcome.INTERRUPTED),
        (-2, None, Outcome.INTERRUPTED),
        (73, None, Outcome.CLAIMED),
        (74, None, Outcome.DISK_FULL),
        (-9, None, Outcome.KILLED),
        (137, None, Outcome.KILLED),
        (1, "diverged\nat step 3\n", Outcome.DIVERGED),
        (1, "out of memory\n", Outcome.OUT_OF_MEMORY),
        (1, "disk full\n", Outcome.DISK_FULL),
        (1, "killed\nrank 1\n", Outcome.KILLED),
        (1, "finished\n", Outcome.ERROR),
        (1, "surprise\n", Outcome.ERROR),
        (1, None, Outcome.ERROR),
        (0, None, Outcome.ERROR),
        (-11, None, Outcome.ERROR),
    ],
)
def test_outcome(tmp_path: Path, code: int, error: str | None, expected: Outcome) -> None:
    directory = RunDirectory(tmp_path)
    if error:
        directory.error.write_text(error)
    assert outcome_of(directory, code) is expected


@pytest.mark.parametrize("code", [0, 1, -9, 75])
def test_a_run_with_a_result_is_finished_however_its_process_ended(
    tmp_path: Path, code: int
) -> None:
    directory = RunDirectory(tmp_path)
    directory.result.write_text("{}")
    assert outcome_of(directory, code) is Outcome.FINISHED
