"""How a child process ended, and whether to start it again."""

import signal
from enum import StrEnum

from awlab.record.run_directory import RunDirectory

PREEMPTED = 75
CLAIMED = 73
KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}


class Outcome(StrEnum):
    """How an attempt at a run ended."""

    FINISHED = "finished"
    PREEMPTED = "preempted"
    CLAIMED = "claimed"
    KILLED = "killed"
    OUT_OF_MEMORY = "out of memory"
    DIVERGED = "diverged"
    ERROR = "error"


def outcome_of(directory: RunDirectory, code: int) -> Outcome:
    """Tell how an attempt ended.

    Args:
        directory: Of the run.
        code: Exit code of the child; negative for a signal.
    """
    if code == 0 and directory.result.exists():
        return Outcome.FINISHED
    if code == PREEMPTED:
        return Outcome.PREEMPTED
    if code == CLAIMED:
        return Outcome.CLAIMED
    if code in KILLED:
        return Outcome.KILLED
    try:
        return Outcome(directory.failure)
    except ValueError:
        return Outcome.ERROR
