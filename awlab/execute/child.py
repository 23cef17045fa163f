"""A run as a child process, alone in its process group."""

import importlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from awlab.execute.devices import Share
from awlab.execute.mortal import die_with_parent

PRELOAD = (
    "awlab.execute.server",
    "awlab.cli",
    "awlab.preflight",
    "awlab.report.terminal",
    "awlab.train.session",
    "awlab.train.smoke",
)
"""What the server imports, and a warm child finds imported."""
SERVER_DIED = 255
"""What multiprocessing says of a child that nobody was left to tell about."""
STACKS = signal.SIGUSR2
"""Asks a run to print the stacks of its threads."""

OF_ONE_PROCESS = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "ROLE_RANK",
    "MASTER_ADDR", "MASTER_PORT", "WANDB_RUN_ID", "WANDB_RESUME",
)  # fmt: skip
"""What names one process among others, and would name all runs alike."""
PREFIXES_OF_ONE_PROCESS = ("TORCHELASTIC_", "SLURM_", "PMI_", "OMPI_")


class Child(ABC):
    """A child process."""

    pid: int

    @abstractmethod
    def poll(self) -> int | None:
        """Exit code; negative for a signal, None while the process lives."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            if self.poll() is None:  # It does not lead its group yet.
                with suppress(ProcessLookupError):
                    os.kill(self.pid, number)


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
                preexec_fn=partial(die_with_parent, os.getpid()),
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
        self._process: ForkServerProcess = server().Process(
            target=_become_awlab, args=(list(arguments), environment(share), share.threads, log)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        code = self._process.exitcode
        return -signal.SIGKILL if code == SERVER_DIED else code


def server() -> ForkServerContext:
    """The server that warm children are forked from; it starts with the first of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context


def environment(share: Share) -> dict[str, str]:
    """The environment of a child: this one, without what makes it a rank of something else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in OF_ONE_PROCESS and not name.startswith(PREFIXES_OF_ONE_PROCESS)
    }
    return kept | {
        "CUDA_VISIBLE_DEVICES": ",".join(share.devices),
        "OMP_NUM_THREADS": str(share.threads),
        "PYTHONUNBUFFERED": "1",
    }


def settle(variables: dict[str, str], threads: int, log: Path) -> None:
    """Make a process that multiprocessing started a child of ours: alone, quiet, mortal."""
    os.setsid()
    die_with_parent(_parent())
    write_into(log)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.environ.clear()
    os.environ.update(variables)
    # As PYTHONUNBUFFERED does in a new interpreter: what a full disk did not take is not tried
    # again at the end, where it would hide the exit code.
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", write_through=True)
        for number in (1, 2)
    )
    if "torch" in sys.modules:  # It read OMP_NUM_THREADS in the server, before the fork.
        sys.modules["torch"].set_num_threads(threads)


def write_into(log: Path) -> None:
    """Send what this process and its children print to the end of a file."""
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


def _parent() -> int:
    """Process number of the server that forked this process, else of who started it."""
    preloaded = sys.modules.get("awlab.execute.server")
    started_by = multiprocessing.parent_process()
    assert started_by is not None
    return preloaded.PID if preloaded else started_by.pid or 0


def _become_awlab(arguments: list[str], variables: dict[str, str], threads: int, log: Path) -> None:
    settle(variables, threads, log)
    sys.argv = ["awlab", *arguments]
    importlib.import_module("awlab.cli").main()
