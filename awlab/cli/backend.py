"""Where `awlab ablate` executes a study: what its options mean to this machine, Ray and Slurm."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from awlab.cli.app import end
from awlab.execute.exit_codes import BAD_INPUT

if TYPE_CHECKING:
    from awlab.execute.backend import Backend
    from awlab.execute.slurm import Array
    from awlab.plan import Plan


@dataclass(frozen=True)
class Sharing:
    """How devices are shared out among runs; None where nobody said."""

    devices: str | None = None
    devices_per_run: int | None = None
    runs_per_device: int | None = None
    jobs: int | None = None

    def of(self, study: "Plan") -> tuple[int, int]:
        """Devices per run and runs per device: the study's own where nobody else has said."""
        resources = study.ablation.resources
        per_run = self.devices_per_run or resources.devices_per_run
        shared = self.runs_per_device or (1 if per_run > 1 else resources.runs_per_device)
        if per_run > 1 and shared > 1:
            raise end(
                BAD_INPUT,
                f"devices per run (={per_run}) and runs per device (={shared}) cannot both be "
                "above 1",
            )
        return per_run, shared

    def check_devices(self, who: str) -> None:
        """Refuse a choice of devices that somebody else makes."""
        if self.devices not in (None, "all", "cpu"):
            raise end(BAD_INPUT, f"--devices {self.devices}: {who} chooses; expected all or cpu")

    def check(self, *, gpus: bool, there: str) -> None:
        """Refuse what would be ignored."""
        if gpus and self.jobs is not None:
            raise end(
                BAD_INPUT, "--jobs is for runs on a CPU; use --runs-per-device, or --devices cpu"
            )
        if not gpus and self.runs_per_device is not None:
            raise end(BAD_INPUT, f"--runs-per-device is for GPUs, and {there} none; use --jobs")


@dataclass(frozen=True)
class SlurmOptions:
    """What is asked of Slurm; None where nobody said."""

    partition: str | None = None
    time: str | None = None
    qos: str | None = None
    account: str | None = None
    array_limit: int | None = None
    gpus: int | None = None
    sbatch: Sequence[str] = ()
    template: Path | None = None

    @property
    def given(self) -> str:
        """The options that somebody has given."""
        names = [name for name, value in vars(self).items() if value is not None and value != ()]
        return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def read_part(task: str | None) -> tuple[int, int] | None:
    """Read `--task`, such as `3/8`."""
    if task is None:
        return None
    part, slash, parts = task.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise end(BAD_INPUT, f"--task {task}: expected I/N with I from 1 to N, as in 3/8")
    return int(part), int(parts)


def this_machine(study: "Plan", wanted: Sharing) -> "Backend":
    """The devices of this machine."""
    from awlab.execute.backend import Local
    from awlab.execute.devices import Devices, available_cores, choose_gpus

    gpus = choose_gpus(wanted.devices)
    wanted.check(gpus=bool(gpus), there="there is")
    per_run, shared = wanted.of(study)
    at_once = shared if gpus else wanted.jobs or max(1, available_cores() // per_run)
    return Local(Devices(gpus, devices_per_run=per_run, runs_at_once=at_once))


def ray_cluster(study: "Plan", wanted: Sharing, address: str | None) -> "Backend":
    """The machines of a Ray cluster."""
    wanted.check_devices("Ray")
    try:
        from awlab.execute.ray import Cluster
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise end(BAD_INPUT, "--backend ray needs Ray: pip install 'awlab[ray]'") from None
    per_run, shared = wanted.of(study)
    cluster = Cluster(
        address,
        devices_per_run=per_run,
        runs_per_device=shared,
        gpus={None: None, "all": None, "cpu": False}[wanted.devices],
        at_once=wanted.jobs,
    )
    wanted.check(gpus=cluster.devices.gpus, there="the Ray cluster has")
    return cluster


def slurm_array(
    study: "Plan", runs: int, command: Sequence[str], wanted: Sharing, slurm: SlurmOptions
) -> "Array":
    """An array of Slurm tasks that execute a study.

    Args:
        study: What to execute.
        runs: How many there are to execute.
        command: That each task executes, but for how it shares out its devices.
        wanted: How each task shares out its devices.
        slurm: Options.
    """
    from awlab.execute.slurm import MOST_TASKS, Array

    wanted.check_devices("Slurm")
    per_run, shared = wanted.of(study)
    if wanted.devices == "cpu" and slurm.gpus:
        raise end(BAD_INPUT, f"--gpus {slurm.gpus}: --devices cpu takes none")
    on_cpu = wanted.devices == "cpu" or slurm.gpus == 0
    gpus = 0 if on_cpu else slurm.gpus or per_run
    wanted.check(gpus=bool(gpus), there="a task has")
    if gpus and gpus < per_run:
        raise end(BAD_INPUT, f"--gpus {gpus}: a run of this study takes {per_run}")
    at_once = (gpus // per_run) * shared if gpus else wanted.jobs or 1
    tasks = min(MOST_TASKS, max(1, ceil(runs / at_once)))
    mine = Sharing("all" if gpus else "cpu", per_run, shared if gpus else None)
    sharing = _flags(vars(mine) | ({} if gpus else {"jobs": at_once}))
    cores = [] if gpus else [f"--cpus-per-task={at_once * per_run}"]
    return Array(
        study.ablation.name,
        [sys.executable, "-m", "awlab", *command, *sharing],
        tasks,
        [*_options(study, tasks, gpus, slurm), *cores, *slurm.sbatch],
    )


def _options(study: "Plan", tasks: int, gpus: int, slurm: SlurmOptions) -> list[str]:
    from awlab.record.study_directory import StudyDirectory

    at_once = f"%{slurm.array_limit}" if slurm.array_limit else ""
    folder = StudyDirectory.of(study.ablation).slurm.absolute()
    options = {
        "job_name": f"awlab-{study.ablation.name}",
        "array": f"0-{tasks - 1}{at_once}",
        "chdir": Path.cwd(),
        "output": folder / "%A_%a.txt",
        "gres": f"gpu:{gpus}" if gpus else None,
        "partition": slurm.partition,
        "time": slurm.time,
        "qos": slurm.qos,
        "account": slurm.account,
    }
    return _flags(options, "=")


def _flags(options: Mapping[str, object], joint: str | None = None) -> list[str]:
    """`--name value`, or with a joint `--name=value`, for each that has a value."""
    pairs = [(f"--{n.replace('_', '-')}", str(v)) for n, v in options.items() if v is not None]
    if joint is not None:
        return [joint.join(pair) for pair in pairs]
    return [part for pair in pairs for part in pair]
