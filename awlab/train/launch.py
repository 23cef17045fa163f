"""Several ranks of one run on this machine, as children that live and die together.

    python -m awlab.train.launch EXPERIMENT FOLDER [--quiet]

is one such rank, which tells its failure in a file in the folder.
"""

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

from rich.console import Console

from awlab.execute.child import STACKS
from awlab.execute.devices import available_cores
from awlab.execute.exit_codes import BAD_INPUT
from awlab.execute.mortal import die_with_parent
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.spec.load import dump, load_experiment
from awlab.train import fit
from awlab.train.signals import CODES, StopError

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
        file = Path(folder, "experiment.yaml")
        file.write_text(dump(experiment), encoding="utf-8")
        command = [sys.executable, "-m", "awlab.train.launch", str(file), folder]
        processes = _start(command + ["--quiet"] * quiet, count)
        try:
            with _forwarded_signals(processes):
                rank, code = _wait(processes)
        finally:
            _end(processes)
        story = _story_file(folder, rank)
        told = story.read_text(encoding="utf-8") if story.exists() else "error\nit said nothing"
    if code in CODES.values():
        raise StopError(code)
    if -code in CODES:  # Before the rank could listen.
        raise StopError(CODES[signal.Signals(-code)])
    if code == BAD_INPUT:
        raise InputError(told)
    if code < 0:
        told = f"killed\nrank {rank} was killed by {signal.Signals(-code).name}"
    if code:
        directory.fail(*told.split("\n", maxsplit=1))
        raise RankError(f"rank {rank} failed, the others were ended: see {directory.error}")


def _start(command: list[str], count: int) -> _Processes:
    threads = max(1, available_cores() // count)
    common = {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "AWLAB_PARENT": str(os.getpid()),
    }
    processes: list[subprocess.Popen[bytes]] = []
    for rank in range(count):
        variables = os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        group = processes[0].pid if processes else 0
        processes.append(subprocess.Popen(command, env=variables, process_group=group))
    return processes


def _wait(processes: _Processes) -> tuple[int, int]:
    """Wait for all ranks, or for one that fails; return the rank and exit code that tell most."""
    left_at = float("inf")
    while True:
        codes = {rank: process.poll() for rank, process in enumerate(processes)}
        ended = [(rank, code) for rank, code in codes.items() if code is not None]
        for rank, code in ended:
            if code not in (0, *CODES.values()):
                return rank, code
        if any(code for _, code in ended):
            left_at = min(left_at, time.monotonic())
        if len(ended) == len(codes) or time.monotonic() - left_at > LEAVE_SECONDS:
            return max(ended, key=lambda pair: pair[1])
        time.sleep(0.05)


def _end(processes: _Processes) -> None:
    """Kill what is left of the ranks, and what they started."""
    with suppress(ProcessLookupError):
        os.killpg(processes[0].pid, signal.SIGKILL)
    for process in processes:
        process.wait()


@contextmanager
def _forwarded_signals(processes: _Processes) -> Generator[None]:
    """Pass requests to stop, and for stacks, on to the ranks, which the terminal does not reach."""

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(ProcessLookupError):
            os.killpg(processes[0].pid, number)

    before = {number: signal.signal(number, forward) for number in (*CODES, STACKS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _story_file(folder: str, rank: int) -> Path:
    return Path(folder, f"rank-{rank}.txt")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main(arguments: Sequence[str]) -> None:
    """Be one rank."""
    die_with_parent(int(os.environ["AWLAB_PARENT"]))
    file, folder, *quiet = arguments
    story = _story_file(folder, int(os.environ["RANK"]))
    try:
        fit.run(load_experiment(file), console=None if quiet else Console())
    except InputError as error:
        story.write_text(str(error), encoding="utf-8")
        sys.exit(BAD_INPUT)
    except Exception as error:
        from awlab.train.failure import classify, tell  # Imports torch, which may be what failed.

        story.write_text(f"{classify(error)}\n{tell(error)}", encoding="utf-8")
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
