"""Requests from outside to stop, obeyed at once or, within a training, where it is safe."""

import signal
import threading
from types import FrameType
from typing import Any, Self

from awlab.execute.exit_codes import INTERRUPTED, PREEMPTED

CODES = {signal.SIGTERM: PREEMPTED, signal.SIGUSR1: PREEMPTED, signal.SIGINT: INTERRUPTED}


class StopError(SystemExit):
    """The run was asked to stop and has saved what it needs to go on; carries the exit code."""


class StopSignals:
    """Obeys SIGTERM, SIGUSR1 and SIGINT within a `with` block, by raising `StopError`.

    While `deferred`, they are noted for somebody else to obey; only a second SIGINT is not, and
    raises `KeyboardInterrupt`.
    """

    def __init__(self) -> None:
        self.deferred = False
        self.code = 0
        """Exit code that was asked for; 0 when nobody asked."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """Take over the signals; again, when others have taken them meanwhile."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python delivers signals to the main thread only.
        for number in CODES:
            before = signal.signal(number, self._note)
            self._before.setdefault(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        code = CODES[signal.Signals(number)]
        if not self.deferred:
            self.code = code  # The error gets lost in a destructor: then the training obeys.
            raise StopError(code)
        if code == INTERRUPTED and self.code == INTERRUPTED:
            raise KeyboardInterrupt
        self.code = self.code or code
