"""Requests from outside to end a study, noted when they come and obeyed between two looks."""

import signal
from types import FrameType
from typing import Any, Self

from awlab.execute.exit_codes import INTERRUPTED, PREEMPTED

CODES = {
    signal.SIGINT: INTERRUPTED,
    signal.SIGTERM: PREEMPTED,
    signal.SIGUSR1: PREEMPTED,  # Time will be up, as Slurm says it.
    signal.SIGHUP: PREEMPTED,  # The terminal is gone.
}


class StopRequests:
    """Notes SIGINT, SIGTERM, SIGUSR1 and SIGHUP within a `with` block.

    A second SIGINT is not noted but raised at once, as `KeyboardInterrupt`. A signal that the
    process was started to ignore (`nohup`) stays ignored, but for SIGINT: shells ignore it for
    whatever they start in the background.
    """

    def __init__(self) -> None:
        self.code = 0
        """Exit code that was asked for; 0 when nobody asked."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in CODES:
            if number is signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and self.code == INTERRUPTED:
            raise KeyboardInterrupt
        self.code = CODES[signal.Signals(number)]
