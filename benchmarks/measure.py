"""What the benchmarks of layers and networks share: time, memory, and what these depend on."""

import argparse
import ctypes
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

FEWEST_ROUNDS = 3
FEWEST_OF_QUARTILES = 2
DTYPES = ("float32", "bfloat16", "float16")

Step = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds of a step, and its ratio to the first of the steps that ran in turn with it."""

    median_seconds: float
    ratio: float
    ratio_quartiles: tuple[float, float]
    rounds: int


def in_turn(
    steps: Mapping[str, Step], *, rounds: int, seconds: float, cpu_time: bool = False
) -> dict[str, Timing]:
    """Time steps in turn, round after round, so that other work meets them all alike.

    Args:
        steps: What to time, after it has been run once; the first is what the others are held to.
        rounds: Times that each is run, at most.
        seconds: After which no further round begins, three being the fewest.
        cpu_time: Whether time of this process on its cores is meant: for a machine that is busy.
    """
    clock = time.process_time if cpu_time else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in steps}
    end = time.perf_counter() + seconds
    for number in range(rounds):
        for name, step in steps.items():
            synchronize()
            begin = clock()
            step()
            synchronize()
            taken[name].append(clock() - begin)
        if time.perf_counter() > end and number + 1 >= FEWEST_ROUNDS:
            break
    first = next(iter(taken.values()))
    timings = {}
    for name, times in taken.items():
        ratios = [mine / other for mine, other in zip(times, first, strict=True)]
        lower, _, upper = statistics.quantiles(ratios, n=4)
        timings[name] = Timing(
            median_seconds=statistics.median(times),
            ratio=statistics.median(ratios),
            ratio_quartiles=(lower, upper),
            rounds=len(ratios),
        )
    return timings


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_bytes(step: Step, device: str) -> int | None:
    """Most memory that a step takes beyond what there was; None where nobody can tell."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    if platform.system() != "Linux":
        return None
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = _memory("VmRSS")
    step()
    return _memory("VmHWM") - before


def _memory(name: str) -> int:
    """Return a figure in bytes of what the system knows about this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def parser(
    description: str | None, *, rounds: int, dtypes: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Return a parser of the options that all these benchmarks have.

    Args:
        description: Its first line is shown.
        rounds: That are measured where nothing else is said.
        dtypes: Between which there is a choice, if there is one.
    """
    options = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options.add_argument("--device", choices=["cpu", "cuda"], default=device)
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--rounds", type=_rounds, default=rounds)
    options.add_argument("--batch-size", type=int)
    if dtypes:
        options.add_argument("--dtype", choices=dtypes)
    options.add_argument("--cpu-time", action="store_true", help="count time on the cores only")
    options.add_argument("--json", type=Path, metavar="FILE")
    return options


def _rounds(text: str) -> int:
    """Read a number of rounds of which there are quartiles."""
    if int(text) < FEWEST_OF_QUARTILES:
        raise argparse.ArgumentTypeError(
            f"{text} rounds have no quartiles: at least {FEWEST_OF_QUARTILES} are needed"
        )
    return int(text)


def environment(options: argparse.Namespace, **more: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    on_gpu = options.device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "threads": options.threads,
        "batch": options.batch_size,
        "dtype": str(options.dtype).removeprefix("torch."),
        "clock": "CPU time" if options.cpu_time else "wall",
        **more,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def announce(environment: Mapping[str, Any]) -> None:
    """Print what the figures depend on."""
    print(", ".join(f"{name} {value}" for name, value in environment.items()), flush=True)


def write_json(path: Path | None, environment: Mapping[str, Any], rows: list[Any]) -> None:
    """Write the rows of the table to a file, if there is to be one."""
    if path:
        document = {"environment": dict(environment), "rows": [asdict(row) for row in rows]}
        path.write_text(json.dumps(document, indent=2) + "\n")


def megabytes(count: int | None) -> str:
    """Write a number of bytes."""
    return "" if count is None else f"{count / 2**20:.0f}"
