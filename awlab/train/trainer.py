"""The Lightning trainer of a run: every option that is not its default, with its reason."""

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, Strategy

from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.training import Training
from awlab.train.checkpoint import AtomicCheckpointIO
from awlab.train.devices import Devices, Division
from awlab.train.rank_environment import RankEnvironment
from awlab.train.ranks import Ranks


def build_trainer(
    training: Training,
    directory: RunDirectory,
    *,
    devices: Devices,
    ranks: Ranks | None,
    division: Division,
    loggers: Sequence[Logger],
    callbacks: Sequence[Callback],
) -> pl.Trainer:
    """Build the trainer; it prints nothing, and writes nothing on its own."""
    several: dict[str, Any] = {"devices": 1, "strategy": "auto"}
    # Without one, Lightning would take over signals and checkpoints wherever it sees Slurm.
    environment = LightningEnvironment()
    if ranks is not None and ranks.size > 1:
        several = {"devices": ranks.local_size, "num_nodes": ranks.nodes, "strategy": _ddp(devices)}
        environment = RankEnvironment(ranks)
    return pl.Trainer(
        accelerator=devices.kind,
        **several,
        precision=training.precision,
        max_epochs=training.epochs,
        accumulate_grad_batches=division.accumulation,
        gradient_clip_val=training.gradient_clip_norm,
        gradient_clip_algorithm="norm",
        logger=list(loggers),
        log_every_n_steps=1,  # Rows are written by the recorder.
        callbacks=list(callbacks),
        plugins=[AtomicCheckpointIO(), environment],
        default_root_dir=directory.path,
        use_distributed_sampler=False,  # The data divides its batches by position.
        num_sanity_val_steps=0,
        enable_checkpointing=False,  # The guard writes them.
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def averaging(training: Training, devices: Devices) -> list[Callback]:
    """The callback that averages weights, if they are to be averaged."""
    if training.ema is None:
        return []
    # Made before the network is on the GPU, the average would stay on the CPU, and all weights
    # would be copied there at each step.
    device = "cuda" if devices.kind == "gpu" else None
    return [EMAWeightAveraging(device, decay=training.ema.decay)]


def check_precision(training: Training, devices: Devices) -> None:
    """Raise `InputError` where the number format does not exist on the device."""
    if training.precision == "16-mixed" and devices.kind == "cpu":
        raise InputError(
            "training.precision 16-mixed needs a GPU; on a CPU 32-true and bf16-mixed are allowed"
        )


def _ddp(devices: Devices) -> Strategy:
    return DDPStrategy(process_group_backend="nccl" if devices.kind == "gpu" else "gloo")
