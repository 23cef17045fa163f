"""A run as a child process, alone in its process group."""

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from awlab.execute.devices import Share
from awlab.execute.mortal import die_with_parent

PRELOAD = ("awlab.execute.server", "awlab.train.session")
"""What the server imports, and a warm child finds imported."""

RANK_VARIABLES = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "ROLE_RANK",
    "MASTER_ADDR", "MASTER_PORT",
)  # fmt: skip
RANK_PREFIXES = ("TORCHELASTIC_", "SLURM_", "PMI_", "OMPI_")


class Child(ABC):
    """A child process."""

    pid: int

    @abstractmethod
    def poll(self) -> int | None:
        """Exit code; negative for a signal, None while the process lives."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class FreshChild(Child):
    """A new interpreter: for GPUs, and for runs of several processes.

    Args:
        arguments: Of the `awlab` command.
        share: What the child may use.
        log: Takes its output.
    """

    def __init__(self, arguments: Sequence[str], share: Share, log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "awlab", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(share),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()


class WarmChild(Child):
    """A fork of a server that has torch imported: starts in hundredths of a second, CPU only.

    Args:
        arguments: Of the `awlab` command.
        share: What the child may use.
        log: Takes its output.
    """

    def __init__(self, arguments: Sequence[str], share: Share, log: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOAD))
        self._process: ForkServerProcess = context.Process(
            target=_become_awlab, args=(list(arguments), environment(share), share.threads, log)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode


def environment(share: Share) -> dict[str, str]:
    """The environment of a child: this one, without what makes it a rank of something else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in RANK_VARIABLES and not name.startswith(RANK_PREFIXES)
    }
    return kept | {
        "CUDA_VISIBLE_DEVICES": ",".join(share.devices),
        "OMP_NUM_THREADS": str(share.threads),
        "PYTHONUNBUFFERED": "1",
    }


def _become_awlab(arguments: list[str], variables: dict[str, str], threads: int, log: Path) -> None:
    os.setsid()
    die_with_parent()
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.environ.clear()
    os.environ.update(variables)
    if "torch" in sys.modules:  # It read OMP_NUM_THREADS in the server, before the fork.
        sys.modules["torch"].set_num_threads(threads)
    sys.argv = ["awlab", *arguments]
    importlib.import_module("awlab.cli").main()
