"""A W&B run that is open, or none: nothing that W&B does reaches its caller."""

import shutil
from collections.abc import Callable
from pathlib import Path

import wandb

from awlab.execute.pool import ROOM_BYTES
from awlab.train.wandb_run import Notify, first_line


class OpenRun:
    """An open W&B run, or none; every method is harmless when W&B is not there.

    Args:
        run: The W&B run; None is none.
        notify: Told in one line of what W&B could not do, once.
        truth: What has it all, whatever becomes of the W&B run.
    """

    def __init__(self, run: wandb.Run | None, notify: Notify, truth: str) -> None:
        self.run = run
        self._notify = notify
        self._truth = truth
        self._told = False

    @property
    def address(self) -> str | None:
        """Where to see the run: a URL, or for an offline run the command that uploads it."""
        if self.run is None:
            return None
        return _sync(self.run) if self.run.offline else self.run.url

    def attempt(self, action: Callable[[wandb.Run], object]) -> None:
        """Do something with the W&B run, if there is one and it can be done."""
        if self.run is None:
            return
        try:
            action(self.run)
        except Exception as error:  # noqa: BLE001 W&B raises a dozen kinds, and none may end a run
            self._tell(error)

    def finish(self, exit_code: int) -> None:
        """End the W&B run; afterwards there is none."""
        self.attempt(lambda run: run.finish(exit_code=exit_code))
        self.attempt(_check_room)
        self.run = None

    def _tell(self, error: Exception) -> None:
        if not self._told:
            assert self.run is not None
            self._notify(
                f"W&B: {first_line(error)}. {self._truth} has it all; to upload what W&B "
                f"kept of it: {_sync(self.run)}"
            )
        self._told = True


def _check_room(run: wandb.Run) -> None:
    """Raise `OSError` where W&B could not write; its own process keeps silent about that."""
    folder = Path(run.dir).parent
    if shutil.disk_usage(folder).free < ROOM_BYTES:
        raise OSError(f"the disk of {folder} is full, so what W&B wrote there is cut off")


def _sync(run: wandb.Run) -> str:
    """The command that uploads what lies on the disk."""
    return f"wandb sync {Path(run.dir).parent}"
