from pathlib import Path

import pytest

from awlab.execute.outcome import Outcome, outcome_of
from awlab.record.run_directory import RunDirectory


@pytest.mark.parametrize(
    ("code", "error", "expected"),
    [
        (75, None, Outcome.PREEMPTED),
        (73, None, Outcome.CLAIMED),
        (-9, None, Outcome.KILLED),
        (137, None, Outcome.KILLED),
        (1, "diverged\nat step 3\n", Outcome.DIVERGED),
        (1, "out of memory\n", Outcome.OUT_OF_MEMORY),
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


def test_a_result_counts_only_when_the_process_ended_well(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.result.write_text("{}")
    assert outcome_of(directory, 0) is Outcome.FINISHED
    assert outcome_of(directory, 1) is Outcome.ERROR
