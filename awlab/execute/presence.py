"""Which processes execute runs of a study, so that they can be asked to end."""

import os
import shutil
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from awlab.record.claim import Holder, claim, living_holder
from awlab.record.study_directory import StudyDirectory
from awlab.spec.errors import InputError


@contextmanager
def at_work(study: StudyDirectory) -> Generator[None]:
    """Be known to work on a study for the length of a `with` block.

    Raises:
        InputError: When the folder of the study cannot be written.
    """
    folder = study.managers / f"{socket.gethostname()}-{os.getpid()}"
    try:
        _sweep(study)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write the folder of the study {study.path}: {error.strerror or error}"
        ) from error
    with claim(folder):
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def workers(study: StudyDirectory) -> list[Holder]:
    """The living processes that execute runs of a study, here and on other machines."""
    folders = sorted(study.managers.glob("*"))
    return [holder for folder in folders if (holder := living_holder(folder)) is not None]


def ask_to_end(worker: Holder) -> bool:
    """Ask a process on this machine to let its runs write checkpoints and end, as Ctrl-C does.

    Returns:
        Whether it is on this machine.
    """
    if worker.host != socket.gethostname():
        return False
    with suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGINT)
    return True


def _sweep(study: StudyDirectory) -> None:
    """Remove what processes that were killed left behind."""
    for folder in study.managers.glob("*"):
        if _was_claimed(folder) and living_holder(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)


def _was_claimed(folder: Path) -> bool:
    return any((folder / "claims").glob("*.json"))
