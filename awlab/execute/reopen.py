"""Open runs that are closed: forgive a failure, or put all of a run aside to begin anew."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from awlab.plan import Run
from awlab.record.claim import living_holder
from awlab.spec.errors import InputError

REPLACED = ".replaced"
"""Folder, among the run directories, of those that were put aside."""


def reopen(runs: Sequence[Run], *, anew: bool = False) -> None:
    """Let failed runs go on from their last checkpoint, or let all of them begin anew.

    Args:
        runs: That will be executed.
        anew: Put the directory of every run aside, whatever its state. Nothing is deleted.

    Raises:
        InputError: When a run that was to begin anew is being executed.
    """
    if not anew:
        for run in runs:
            run.directory.error.unlink(missing_ok=True)
        return
    for run in runs:
        if (holder := living_holder(run.path)) is not None:
            raise InputError(
                f"{run.path} is being executed by {holder} and cannot be put aside; wait for it, "
                "or cancel it"
            )
    for run in runs:
        with suppress(FileNotFoundError):  # Never begun, or put aside by somebody else just now.
            run.path.rename(_place_aside(run.path))


def _place_aside(path: Path) -> Path:
    folder = path.parent / REPLACED
    folder.mkdir(exist_ok=True)
    places = (folder / f"{path.name}.{number}" for number in count(1))
    return next(place for place in places if not place.exists())
