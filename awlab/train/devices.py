"""What a run is executed on, and how a batch is divided over it."""

import math
import platform
from dataclasses import dataclass
from typing import Literal

import torch

from awlab.execute.devices import available_cores
from awlab.spec.errors import InputError
from awlab.spec.runtime import Runtime


@dataclass(frozen=True)
class Devices:
    """Devices that train together.

    Attributes:
        kind: Lightning's word for the accelerator.
        count: Over all machines.
    """

    kind: Literal["cpu", "gpu"]
    count: int

    def names(self) -> list[str]:
        """Name of the model of each device of this machine that is used."""
        if self.kind == "gpu":
            local = min(self.count, torch.cuda.device_count())
            return [torch.cuda.get_device_name(index) for index in range(local)]
        return [platform.processor() or platform.machine()]


def choose_devices(runtime: Runtime, *, world_size: int | None, local_size: int | None) -> Devices:
    """Choose devices as `runtime` asks.

    Args:
        runtime: What is asked.
        world_size: Processes that somebody else started for this run; None when nobody did.
        local_size: Those of them on this machine.

    Raises:
        InputError: When there are fewer, or others were started.
    """
    gpus = torch.cuda.device_count()
    if runtime.accelerator == "gpu" and gpus == 0:
        raise InputError(
            "runtime.accelerator is gpu, but torch sees no GPU here; allowed: cpu, auto"
        )
    kind = "gpu" if gpus and runtime.accelerator != "cpu" else "cpu"
    there = gpus if kind == "gpu" else available_cores()
    wanted = runtime.devices
    if world_size is not None and wanted not in ("auto", world_size):
        raise InputError(
            f"runtime.devices (={wanted}) must be the number of processes that were started "
            f"(={world_size}), or auto"
        )
    if wanted == "auto":
        wanted = world_size or (gpus if kind == "gpu" else 1)
    here = wanted if local_size is None else local_size
    if here > there:
        names = "GPUs that torch sees" if kind == "gpu" else "CPU cores"
        raise InputError(
            f"runtime.devices (={here}) must be from 1 to the number of {names} ({there})"
        )
    return Devices(kind, wanted)


@dataclass(frozen=True)
class Division:
    """How the images of an optimizer step are divided.

    Attributes:
        images: Per device and micro-batch.
        accumulation: Micro-batches per device.
    """

    images: int
    accumulation: int


def divide(batch_size: int, *, devices: int, max_images: int | None) -> Division:
    """Divide `training.batch_size` evenly, in as few micro-batches as `max_images` allows.

    Raises:
        InputError: When it cannot be divided evenly.
    """
    if batch_size % devices:
        raise InputError(
            f"training.batch_size (={batch_size}) must be a multiple of the devices (={devices}), "
            "because every device takes the same number of images"
        )
    per_device = batch_size // devices
    images = min(per_device, max_images or per_device)
    if per_device % images:
        allowed = [n for n in range(1, per_device + 1) if per_device % n == 0]
        near = max(n for n in allowed if n <= images)
        raise InputError(
            f"runtime.max_images_per_device (={max_images}) must divide the images per device "
            f"(={per_device} = training.batch_size / devices); the nearest that does is {near}"
        )
    return Division(images, math.ceil(per_device / images))
