"""Processes that do not outlive their parent."""

import ctypes
import signal
from contextlib import suppress


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere, do nothing."""
    set_death_signal = 1
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
