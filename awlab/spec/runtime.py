"""Where and how a run is executed: nothing here is part of its identity."""

from typing import Annotated, Literal

from pydantic import Field

from awlab.spec.base import Name, Spec


class Runtime(Spec):
    """Two runs that differ only here may share a row of a table."""

    root: str = Field(default="runs", min_length=1)
    """Folder of the run directories."""
    data_root: str = Field(default="data", min_length=1)
    """Folder of the data sets."""
    download: bool = False
    """Whether a missing data set may be downloaded."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """`auto` takes GPUs when there are any."""
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Devices that train together; `auto` is one on a CPU and all visible GPUs."""
    max_images_per_device: int | None = Field(default=None, ge=1)
    """Images that a device holds at once; more are reached by gradient accumulation."""
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Processes per device that read images; data sets held in memory need none."""
    channels_last: bool | Literal["auto"] = "auto"
    """Memory format of images and weights; `auto` is channels-last on GPUs."""
    compile: bool = False
    """Whether torch.compile fuses a classifier's operations: the first step takes minutes, the
    others less time; results are the same to rounding."""
    checkpoint_every_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps between two checkpoints within an epoch; one is written after each epoch."""
    gradcam_images: int = Field(default=8, ge=0, le=64)
    """Test images that are explained at the end of a run; 0 for none."""
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """`auto` is online when an API key exists, else offline."""
    wandb_project: Name = "awlab"
    """Project that W&B files the run under."""
    wandb_entity: str | None = None
    """Team or user that owns the project; the default one of the API key."""
    wandb_group: str | None = Field(default=None, min_length=1, max_length=128)
    """Group of the W&B run; in an ablation its name."""
    wandb_job_type: str | None = Field(default=None, min_length=1, max_length=64)
    """Job type of the W&B run; in an ablation its cell."""
    wandb_tags: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(strict=False)
    ] = ()
    """Tags of the W&B run; in an ablation the labels of its cell."""
