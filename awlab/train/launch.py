"""Several ranks of one run on this machine, as children that live and die together.

    python -m awlab.train.launch EXPERIMENT FAILURE [--quiet]

is one such rank.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.spec.load import dump, load_experiment
from awlab.train.signals import CODES, StopError

BAD_INPUT = 2
LEAVE_SECONDS = 30.0
"""How long the other ranks may take to leave once one has left with its state saved."""

_Processes = Sequence["subprocess.Popen[bytes]"]


class RankError(RuntimeError):
    """A rank failed; the others were ended."""


def run_ranks(experiment: Experiment, directory: RunDirectory, *, count: int, quiet: bool) -> None:
    """Run an experiment in this many processes and wait for them.

    Raises:
        InputError: When a rank refused the experiment.
        StopError: When a signal asked to stop.
        RankError: When a rank failed or was killed.
    """
    with tempfile.TemporaryDirectory(prefix="awlab-") as folder:
        file, failure = Path(folder, "experiment.yaml"), Path(folder, "failure.txt")
        file.write_text(dump(experiment), encoding="utf-8")
        command = [sys.executable, "-m", "awlab.train.launch", str(file), str(failure)]
        processes = _start(command + ["--quiet"] * quiet, count)
        try:
            with _forwarded_signals(processes):
                code = _wait(processes)
        finally:
            _end(processes)
        refusal = failure.read_text(encoding="utf-8") if failure.exists() else ""
    if code in CODES.values():
        raise StopError(code)
    if code == BAD_INPUT and refusal:
        raise InputError(refusal)
    if code < 0:
        rank = next(rank for rank, process in enumerate(processes) if process.returncode == code)
        message = f"rank {rank} was killed by {signal.Signals(-code).name}; the others were ended"
        directory.fail("killed", message)
        raise RankError(message)
    if code:
        raise RankError(f"a rank failed: see {directory.error}")


def _start(command: list[str], count: int) -> _Processes:
    common = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "AWLAB_PARENT": str(os.getpid()),
    }
    threads = max(1, (os.cpu_count() or 1) // count)
    common.setdefault("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", str(threads)))
    processes: list[subprocess.Popen[bytes]] = []
    for rank in range(count):
        variables = os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        group = processes[0].pid if processes else 0
        processes.append(subprocess.Popen(command, env=variables, process_group=group))
    return processes


def _wait(processes: _Processes) -> int:
    """Wait for all ranks, or for one that fails; return the exit code that tells most."""
    left_at = None
    while True:
        codes = [process.poll() for process in processes]
        failed = [code for code in codes if code not in (None, 0, *CODES.values())]
        if failed:
            return failed[0]
        if None not in codes:
            return max(code for code in codes if code is not None)
        if any(codes):
            left_at = left_at or time.monotonic()
            if time.monotonic() - left_at > LEAVE_SECONDS:
                return max(code for code in codes if code is not None)
        time.sleep(0.05)


def _end(processes: _Processes) -> None:
    """Kill what is left of the ranks, and what they started."""
    with suppress(ProcessLookupError):
        os.killpg(processes[0].pid, signal.SIGKILL)
    for process in processes:
        process.wait()


@contextmanager
def _forwarded_signals(processes: _Processes) -> Generator[None]:
    """Pass requests to stop on to the ranks, which are not in the group of the terminal."""

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(ProcessLookupError):
            os.killpg(processes[0].pid, number)

    before = {number: signal.signal(number, forward) for number in CODES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _die_with_parent() -> None:
    """Ask Linux to kill this rank when the process that started it dies; elsewhere do nothing."""
    with suppress(OSError, AttributeError):
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != int(os.environ["AWLAB_PARENT"]):
        sys.exit(1)  # It died before we asked.


def main(arguments: Sequence[str]) -> None:
    """Be one rank."""
    _die_with_parent()
    file, failure, *quiet = arguments
    from rich.console import Console

    from awlab.train import fit

    try:
        fit.run(load_experiment(file), console=None if quiet else Console())
    except InputError as error:
        Path(failure).write_text(str(error), encoding="utf-8")
        sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main(sys.argv[1:])
