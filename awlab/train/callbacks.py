"""What accompanies the steps of a training: seeds, rows of metrics, measures of time."""

import hashlib
import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from awlab.train.module import TrainingModule

ROW_EVERY_STEPS = 50
"""Optimizer steps between two rows of metrics within an epoch."""


class StepSeed(Callback):
    """Makes dropout and the like a function of seed and step, so that a resumed run repeats it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        place = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        digest = hashlib.blake2b(repr(place).encode(), digest_size=8).digest()
        torch.manual_seed(int.from_bytes(digest, "big") >> 1)


class Recorder(Callback):
    """Hands rows of metrics to the loggers and measures time.

    The measures are part of checkpoints, so that a step that is repeated counts once.

    Args:
        images_per_step: Of an optimizer step, over all devices.
    """

    def __init__(self, images_per_step: int) -> None:
        self.images_per_step = images_per_step
        self.images = 0
        self.training_seconds = 0.0
        self.validation_seconds = 0.0
        self.test_metrics: dict[str, float] = {}
        self._lr = 0.0
        self._lap_start = 0.0

    @property
    def images_per_second(self) -> float:
        """Training images over the time spent on them; 0 before the first."""
        return self.images / self.training_seconds if self.training_seconds else 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._lap()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self.images += self.images_per_step
        self.training_seconds += self._lap()
        if trainer.is_last_batch:
            speed = {"train/images_per_second": self.images_per_second}
            write_row(trainer, pl_module.take_metrics("train") | {"lr": self._lr} | speed)
        elif trainer.global_step % ROW_EVERY_STEPS == 0:
            loss = trainer.strategy.reduce(outputs["loss"].detach(), reduce_op="mean")
            loss = float(loss) * trainer.accumulate_grad_batches
            write_row(trainer, {"train/loss_step": loss, "lr": self._lr})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        self.validation_seconds += self._lap()
        write_row(trainer, pl_module.take_metrics("val"))

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        self.test_metrics = pl_module.take_metrics("test")

    def state_dict(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "training_seconds": self.training_seconds,
            "validation_seconds": self.validation_seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.images = state_dict["images"]
        self.training_seconds = state_dict["training_seconds"]
        self.validation_seconds = state_dict["validation_seconds"]

    def _lap(self) -> float:
        start, self._lap_start = self._lap_start, time.perf_counter()
        return self._lap_start - start


def write_row(trainer: pl.Trainer, metrics: dict[str, float]) -> None:
    """Hand metrics to all loggers, with the epoch and the optimizer steps done."""
    for logger in trainer.loggers:
        logger.log_metrics(metrics | {"epoch": trainer.current_epoch}, step=trainer.global_step)
