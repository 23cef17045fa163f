"""What it costs to run a study: per run, side by side, and to look at it.

Run: python benchmarks/study.py [overhead] [parallel] [status]

Every number is a ratio or a difference of things that are measured in turn, so that a machine with
other work to do changes it little; on a busy one, run it again. Exits with 1 when a limit is
missed.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from awlab.execute.backend import Local
from awlab.execute.devices import Devices, available_cores
from awlab.execute.stop import StopRequests
from awlab.execute.study import Study
from awlab.plan import Plan, Run, plan
from awlab.record.record import Epoch, Result, read_result, write_result
from awlab.record.run_directory import RunDirectory
from awlab.spec.ablation import Ablation
from awlab.spec.load import parse
from awlab.spec.write_yaml import write_yaml

RUNS = 20
OVERHEAD_SECONDS = 0.5
SPEED_UP = 1.6
STATUS_RUNS = 1000
STATUS_SECONDS = 1.0
REPETITIONS = 3


def study(root: Path, seeds: int, *, epochs: int = 1, width: int = 2) -> dict[str, Any]:
    """Return a study of one cell."""
    return {
        "name": "study",
        "base": {
            "name": "study",
            "model": {"kind": "resnet", "depth": 18, "width": width, "stem": "cifar"},
            "data": {"kind": "digits"},
            "training": {
                "epochs": epochs,
                "batch_size": 64,
                "optimizer": {"kind": "sgd", "lr": 0.1},
            },
            "runtime": {"root": str(root / "runs"), "gradcam_images": 0, "wandb": "disabled"},
        },
        "axes": {"conv": {"path": "model.conv", "values": {"plain": None}}},
        "baseline": "plain",
        "seeds": seeds,
    }


class Stopwatch:
    """A view that notes when runs begin and end."""

    def __init__(self) -> None:
        self.first = self.last = 0.0
        self.seconds: dict[str, float] = {}

    def say(self, doing: str) -> None:
        """Between smoke tests and the first run, `doing` is empty."""
        self.first = self.last = time.perf_counter()

    def started(self, identity: str) -> None: ...

    def ended(self, identity: str, outcome: str, *, again: bool, message: str = "") -> None:
        """From the end of the run before to the end of this one."""
        assert outcome == "finished", (outcome, message)
        now = time.perf_counter()
        self.seconds[identity], self.last = now - self.last, now

    def stopping(self) -> None: ...

    def refresh(self) -> None: ...


def execute(planned: Plan, devices: Devices) -> Stopwatch:
    """Execute a plan."""
    watch = Stopwatch()
    with StopRequests() as stop:
        Study(planned, Local(devices), stop).execute(planned.runs, watch)
    return watch


def overhead(folder: Path) -> bool:
    """Compare runs of a study with the same runs in a loop of one process."""
    planned = plan(parse(Ablation, study(folder / "managed", RUNS)))
    seconds = execute(planned, Devices(runs_at_once=1)).seconds
    managed = [(seconds[run.id], trained(run)) for run in planned.runs]

    from awlab.train.fit import run as fit

    alone: list[tuple[float, float]] = []
    for run in plan(parse(Ablation, study(folder / "alone", RUNS))).runs:
        begin = time.perf_counter()
        fit(run.experiment)
        alone.append((time.perf_counter() - begin, trained(run)))
    print(f"{RUNS} runs of one epoch, seconds per run (median), and of that beyond training:")
    print(f"  under the manager  {_median(managed, _whole):5.2f}  {_median(managed, _rest):5.2f}")
    print(f"  in one process     {_median(alone, _whole):5.2f}  {_median(alone, _rest):5.2f}")
    added = _median(managed, _rest) - _median(alone, _rest)
    print(f"  the manager adds   {added:5.2f} s (limit {OVERHEAD_SECONDS} s)")
    return added < OVERHEAD_SECONDS


def trained(run: Run) -> float:
    """Seconds that a run has spent on training and validation."""
    return read_result(run.directory).seconds


def _whole(pair: tuple[float, float]) -> float:
    return pair[0]


def _rest(pair: tuple[float, float]) -> float:
    return pair[0] - pair[1]


def _median(pairs: list[tuple[float, float]], of: Callable[[tuple[float, float]], float]) -> float:
    return median(map(of, pairs))


def parallel(folder: Path) -> bool:
    """Compare two runs side by side with the same runs one after the other, on two cores."""
    ways = {
        "one after the other, one thread": Devices(runs_at_once=1, cores=1),
        "one after the other, two threads": Devices(runs_at_once=1, cores=2),
        "side by side, one thread each": Devices(runs_at_once=2, cores=2),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repetition in range(REPETITIONS):
        for number, (way, devices) in enumerate(ways.items()):
            root = folder / f"parallel-{repetition}-{number}"
            planned = plan(parse(Ablation, study(root, 2, epochs=20, width=8)))
            watch = execute(planned, devices)
            seconds[way].append(watch.last - watch.first)
    print(f"two runs on two of {available_cores()} cores, seconds (median of {REPETITIONS}):")
    for way, measured in seconds.items():
        print(f"  {way:34} {median(measured):6.2f}")
    *one_by_one, side_by_side = seconds.values()
    # Each repetition with its faster way of going one by one.
    ratios = [min(a, b) / c for a, b, c in zip(*one_by_one, side_by_side, strict=True)]
    print(f"  {median(ratios):.2f} times as fast (limit {SPEED_UP})")
    return median(ratios) >= SPEED_UP


def status(folder: Path) -> bool:
    """Time `awlab status` of a study whose runs are finished, but for some that are begun."""
    data = study(folder / "status", STATUS_RUNS)
    planned = plan(parse(Ablation, data))
    for number, run in enumerate(planned.runs):
        leave(run, begun=number % 20 == 0)
    file = folder / "study.yaml"
    file.write_text(write_yaml(data))
    command = [sys.executable, "-m", "awlab", "status", str(file)]
    seconds: list[float] = []
    for _ in range(5):
        begin = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - begin)
    assert f"{STATUS_RUNS * 19 // 20} of {STATUS_RUNS} runs finished" in done.stdout, done.stdout
    print(
        f"awlab status of {STATUS_RUNS} runs: {median(seconds):.2f} s, at best "
        f"{min(seconds):.2f} s (limit {STATUS_SECONDS} s)"
    )
    return min(seconds) < STATUS_SECONDS


def leave(run: Run, *, begun: bool) -> None:
    """Leave behind what a run leaves, finished or just begun."""
    directory = RunDirectory(run.path)
    directory.create(run.experiment)
    last = Epoch(0, {"val/loss": 1.0, "val/top1_error": 50.0})
    if begun:
        directory.metrics.write_text(
            '{"epoch": 0, "step": 20, "val/loss": 1, "val/top1_error": 50}'
        )
        return
    write_result(
        directory,
        Result(
            id=run.id,
            name=run.experiment.name,
            metrics={"test/top1_error": 12.5},
            tested_epoch=0,
            last=last,
            best=last,
            epochs=1,
            steps=20,
            parameters=1000,
            gmacs=0.1,
            seconds=1.0,
            images_per_second=100.0,
            peak_memory_bytes=2**30,
            attempts=1,
        ),
    )


PARTS = {"overhead": overhead, "parallel": parallel, "status": status}


def main() -> None:
    """Measure what the arguments name, or all."""
    with tempfile.TemporaryDirectory() as folder:
        met = [PARTS[name](Path(folder)) for name in sys.argv[1:] or PARTS]
    sys.exit(not all(met))


if __name__ == "__main__":
    main()
