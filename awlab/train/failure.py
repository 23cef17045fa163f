"""The classes of failure that decide whether a run is tried again."""

import errno
import traceback
from typing import Literal

import torch

from awlab.train.checkpoint import DiskFullError
from awlab.train.dead_reader import dead_readers
from awlab.train.guard import DivergedError

Failure = Literal["diverged", "out of memory", "disk full", "killed", "error"]

_HINTS: dict[Failure, str] = {
    "out of memory": (
        "Set runtime.max_images_per_device to a divisor of the images per device: the batch of an "
        "optimizer step stays as it is and is accumulated."
    ),
    "killed": (
        "Where memory is short, set runtime.workers to fewer; with 0 the run reads by itself, and "
        "what is wrong with an image is an error with a traceback."
    ),
}


def classify(error: Exception) -> Failure:
    """Tell the class of what ended a run."""
    if isinstance(error, DivergedError):
        return "diverged"
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "out of memory"
    if dead_readers(error):
        return "killed"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk full" if full or isinstance(error, DiskFullError) else "error"


def tell(error: Exception) -> str:
    """The whole story for `error.txt`: the message, what may help, the traceback."""
    parts = [
        str(error),
        *getattr(error, "__notes__", ()),
        _HINTS.get(classify(error), ""),
        "".join(traceback.format_exception(error)),
    ]
    return "\n".join(part for part in parts if part)
