"""How a child process ended, and whether to start it again."""

import signal
from enum import StrEnum

from awlab.execute.exit_codes import CLAIMED, DISK_FULL, INTERRUPTED, PREEMPTED
from awlab.record.run_directory import RunDirectory


class Outcome(StrEnum):
    """How an attempt at a run ended."""

    FINISHED = "finished"
    PREEMPTED = "preempted"
    INTERRUPTED = "interrupted"
    CLAIMED = "claimed"
    KILLED = "killed"
    OUT_OF_MEMORY = "out of memory"
    DISK_FULL = "disk full"
    DIVERGED = "diverged"
    ERROR = "error"


OF_THE_RUN = frozenset({Outcome.OUT_OF_MEMORY, Outcome.DIVERGED, Outcome.ERROR})
"""Failures that come again when the run is started again."""
FROM_OUTSIDE = frozenset({Outcome.KILLED, Outcome.DISK_FULL})
"""Failures that do not tell against the run."""

_OF_CODES = {
    CLAIMED: Outcome.CLAIMED,
    DISK_FULL: Outcome.DISK_FULL,
    PREEMPTED: Outcome.PREEMPTED,
    -signal.SIGTERM: Outcome.PREEMPTED,
    INTERRUPTED: Outcome.INTERRUPTED,
    -signal.SIGINT: Outcome.INTERRUPTED,
    -signal.SIGKILL: Outcome.KILLED,
    128 + signal.SIGKILL: Outcome.KILLED,
}


def outcome_of(directory: RunDirectory, code: int) -> Outcome:
    """Tell how an attempt ended.

    Args:
        directory: Of the run.
        code: Exit code of the child; negative for a signal.
    """
    if directory.result.exists():  # Written last: whatever came after it, the run is finished.
        return Outcome.FINISHED
    if code in _OF_CODES:
        return _OF_CODES[code]
    return failure_of(directory)


def failure_of(directory: RunDirectory) -> Outcome:
    """The failure that the files of a run tell of; `ERROR` where they say nothing that we know."""
    told = directory.failure
    return next((kind for kind in OF_THE_RUN | FROM_OUTSIDE if kind == told), Outcome.ERROR)
