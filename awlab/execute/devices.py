"""Which devices a run gets."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from awlab.spec.errors import InputError


@dataclass(frozen=True)
class Share:
    """What one run may use.

    Attributes:
        devices: GPUs, as CUDA_VISIBLE_DEVICES names them; empty on a CPU.
        threads: CPU threads per process of the run.
    """

    devices: tuple[str, ...]
    threads: int


class Lender(Protocol):
    """Lends devices to one run after the other."""

    @property
    def capacity(self) -> int:
        """Runs that are executed at once."""
        ...

    @property
    def devices_per_run(self) -> int:
        """GPUs that a run gets at once; on the CPU, its processes."""
        ...

    def lend(self) -> Share | None:
        """Return devices, or None when a run must wait."""
        ...

    def take_back(self, share: Share) -> None:
        """Make the devices of an ended run free again."""
        ...


class Devices:
    """The devices of this machine, lent to one run after the other.

    Args:
        gpus: As CUDA_VISIBLE_DEVICES names them; none to run on the CPU.
        runs_at_once: Runs per GPU; on the CPU, runs in all.
        devices_per_run: GPUs that a run gets at once; on the CPU, its processes.
        cores: CPU cores to share out.

    Raises:
        InputError: When a run wants more devices than there are.
    """

    def __init__(
        self,
        gpus: Sequence[str] = (),
        *,
        runs_at_once: int = 1,
        devices_per_run: int = 1,
        cores: int | None = None,
    ) -> None:
        if gpus and devices_per_run > len(gpus):
            raise InputError(
                f"devices per run (={devices_per_run}) must not exceed the devices there are "
                f"(={len(gpus)}: {', '.join(gpus)})"
            )
        self.gpus = tuple(gpus)
        self.devices_per_run = devices_per_run
        self.capacity = runs_at_once * max(1, len(gpus) // devices_per_run)
        processes = self.capacity * devices_per_run
        self.threads = max(1, (cores or available_cores()) // processes)
        self._runs_at_once = runs_at_once
        self._load: Counter[str] = Counter()
        self._lent = 0

    @property
    def warm(self) -> bool:
        """Whether a run is one CPU process, and so may be forked from a warm server."""
        return not self.gpus and self.devices_per_run == 1

    def lend(self) -> Share | None:
        """Return the least busy devices, or None when a run must wait."""
        free = [gpu for gpu in self.gpus if self._load[gpu] < self._runs_at_once]
        if self._lent >= self.capacity or (self.gpus and len(free) < self.devices_per_run):
            return None
        free.sort(key=lambda gpu: self._load[gpu])
        # In their own order, so that ranks of a run sit next to each other.
        chosen = set(free[: self.devices_per_run])
        devices = tuple(gpu for gpu in self.gpus if gpu in chosen)
        self._lent += 1
        self._load.update(devices)
        return Share(devices, self.threads)

    def take_back(self, share: Share) -> None:
        """Make the devices of an ended run free again."""
        self._lent -= 1
        self._load.subtract(share.devices)


def choose_gpus(wanted: str | None) -> tuple[str, ...]:
    """Read `--devices`.

    Args:
        wanted: `all`, `cpu`, or numbers and ranges such as `0,2-3`; None is `all`.

    Raises:
        InputError: When it is none of these, or a GPU does not exist.
    """
    if wanted == "cpu":
        return ()
    visible = visible_gpus()
    if wanted in (None, "all"):
        return visible
    chosen: list[str] = []
    for part in wanted.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise InputError(f"--devices {wanted}: expected all, cpu, or numbers as in 0,2-3")
        chosen += [str(number) for number in range(int(first), int(last or first) + 1)]
    missing = [gpu for gpu in chosen if gpu not in visible]
    if missing or not chosen:
        raise InputError(
            f"--devices {wanted}: no GPU {', '.join(missing)}; visible are "
            f"{', '.join(visible) or 'none: use --devices cpu'}"
        )
    return tuple(dict.fromkeys(chosen))


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES allows, else all that nvidia-smi lists."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(gpu.strip() for gpu in allowed.split(",") if gpu.strip() not in ("", "-1"))
    if shutil.which("nvidia-smi") is None:
        return ()
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(query, capture_output=True, text=True, timeout=60, check=False)
    return tuple(listed.stdout.split()) if listed.returncode == 0 else ()


def available_cores() -> int:
    """CPU cores that this process may use; of a Slurm allocation, those that it was given."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(there or 1, int(given) if given.isdigit() else there or 1)
