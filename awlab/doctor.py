"""Checks of the installation and the machine, before an hour is spent on them."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Verdict = Literal["ok", "note", "problem"]

EXTRAS = {
    "demo": ("skimage", "sklearn"),
    "det": ("faster_coco_eval",),
    "zoo": ("timm",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "ray": ("ray",),
    "wandb-ui": ("wandb_workspaces",),
    "test": ("pytest", "pytest_timeout", "captum", "pycocotools", "hypothesis", "selenium"),
}
LOW_DISK_GB = 5


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        verdict: `note` is worth knowing, `problem` will make runs fail.
        detail: What was found and, for a problem, what to do.
    """

    name: str
    verdict: Verdict
    detail: str


def examine(runs: Path, data: Path) -> list[Check]:
    """Look at packages, devices, folders and W&B.

    Args:
        runs: Folder of the run directories.
        data: Folder of the data sets.
    """
    return [*_packages(), *_devices(), *_folders(runs, data), _wandb(), *_extras()]


def _packages() -> Iterator[Check]:
    for name in ("awlab", "torch", "torchvision", "lightning", "torchmetrics", "wandb", "pydantic"):
        yield Check(name, "ok", metadata.version(name))
    try:
        from torchvision.ops import nms  # noqa: F401
    except (ImportError, RuntimeError) as error:
        yield Check(
            "torchvision operators",
            "problem",
            f"{error}; torch and torchvision do not belong together: install both in one command, "
            "pip install torch torchvision",
        )


def _devices() -> Iterator[Check]:
    import torch

    yield Check("cpu", "ok", f"{os.cpu_count()} cores, {torch.get_num_threads()} torch threads")
    if not torch.cuda.is_available():
        yield Check("gpu", "note", "none: runs train on the CPU")
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        yield Check(f"gpu {index}", "ok", f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")


def _folders(runs: Path, data: Path) -> Iterator[Check]:
    home = next(folder for folder in [runs, *runs.absolute().parents] if folder.exists())
    if not os.access(home, os.W_OK):
        yield Check("runs", "problem", f"{home} cannot be written; choose another runtime.root")
    free = shutil.disk_usage(home).free / 1e9
    low = free < LOW_DISK_GB
    yield Check("disk", "problem" if low else "ok", f"{free:.0f} GB free at {home}")
    found = sorted(folder.name for folder in data.iterdir()) if data.is_dir() else []
    yield Check(
        "data",
        "ok" if found else "note",
        f"{data}: {', '.join(found)}" if found else f"{data} holds no data set yet",
    )


def _wandb() -> Check:
    from awlab.train.wandb_run import modes

    problems: list[str] = []
    first = next(iter(modes("auto", problems.append)), "disabled")
    details = {
        "online": "online: an API key was found",
        "offline": "offline: no API key, or WANDB_MODE=offline; `wandb login` stores a key",
        "disabled": "disabled by WANDB_MODE",
    }
    return Check("wandb mode", "note" if problems else "ok", "; ".join([details[first], *problems]))


def _extras() -> Iterator[Check]:
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        yield Check(
            f"extra {extra}",
            "note" if missing else "ok",
            f"not installed: pip install 'awlab[{extra}]'" if missing else "installed",
        )
