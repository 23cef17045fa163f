"""Execute what is missing of a plan."""

import signal
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from types import FrameType
from typing import Protocol

from awlab.execute.child import FreshChild, WarmChild
from awlab.execute.devices import Devices
from awlab.execute.outcome import Outcome
from awlab.execute.pool import Ended, Pool, Started
from awlab.plan import Run


class View(Protocol):
    """Is told what happens."""

    def started(self, identity: str) -> None:
        """An attempt at a run began."""
        ...

    def ended(self, identity: str, outcome: str, *, again: bool) -> None:
        """An attempt at a run ended; it may be started again."""
        ...

    def refresh(self) -> None:
        """A moment passed."""
        ...


def execute(
    runs: Sequence[Run],
    devices: Devices,
    view: View,
    *,
    retries: int = 1,
    fail_fast: bool = False,
) -> dict[str, Outcome]:
    """Execute runs and tell how each ended.

    Runs of one CPU process are forked from a server that is warm; those on GPUs and of several
    processes are fresh interpreters.

    Args:
        runs: In this order.
        devices: Lent to them.
        view: Is told what happens.
        retries: See `Pool`.
        fail_fast: See `Pool`.

    Returns:
        The last outcome of each run that ended, by id.

    Raises:
        KeyboardInterrupt: On SIGINT or SIGTERM, when all children have ended.
    """
    alone = not devices.gpus and devices.devices_per_run == 1
    pool = Pool(devices, WarmChild if alone else FreshChild, retries=retries, fail_fast=fail_fast)
    outcomes: dict[str, Outcome] = {}
    with _sigterm_interrupts(), closing(pool.execute([run.experiment for run in runs])) as events:
        for event in events:
            if isinstance(event, Started):
                view.started(event.experiment.id)
            elif isinstance(event, Ended):
                outcomes[event.experiment.id] = event.outcome
                view.ended(event.experiment.id, event.outcome, again=event.again)
            view.refresh()
    return outcomes


@contextmanager
def _sigterm_interrupts() -> Generator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
