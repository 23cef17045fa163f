"""Processes that do not outlive their parent."""

import ctypes
import os
import signal
from contextlib import suppress

_LIBC = ctypes.CDLL(None)  # Loaded now: between fork and exec nothing may be.


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere, do nothing.

    Args:
        parent: Its process number. When it has died before we could ask, we are killed now.
    """
    set_death_signal = 1
    with suppress(OSError, AttributeError):
        _LIBC.prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
