"""Where runs are executed: the one door behind which this machine and a cluster look alike."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awlab.execute.call import Call, LocalCall
from awlab.execute.child import Child, FreshChild, WarmChild
from awlab.execute.devices import Devices, Lender, Share


class Backend(ABC):
    """Lends devices, and starts on them what is to be executed."""

    @property
    @abstractmethod
    def devices(self) -> Lender:
        """Lent to the runs."""

    @abstractmethod
    def start(self, arguments: Sequence[str], share: Share, log: Path) -> Child:
        """Start the `awlab` command.

        Args:
            arguments: Of the command.
            share: What it may use.
            log: Takes its output.
        """

    @abstractmethod
    def call(self, target: str, arguments: Sequence[Any], share: Share, log: Path) -> Call:
        """Call a function.

        Args:
            target: The function, as `module:name`. What it takes and returns is pickled.
            arguments: Of the function.
            share: What it may use.
            log: Takes what it prints.
        """


class Local(Backend):
    """This machine.

    Runs of one CPU process are forked from a server that is warm; those on GPUs and of several
    processes are fresh interpreters.
    """

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    @property
    def devices(self) -> Devices:
        return self._devices

    def start(self, arguments: Sequence[str], share: Share, log: Path) -> Child:
        return (WarmChild if self.devices.warm else FreshChild)(arguments, share, log)

    def call(self, target: str, arguments: Sequence[Any], share: Share, log: Path) -> Call:
        return LocalCall(target, arguments, share, log, warm=not share.devices)
