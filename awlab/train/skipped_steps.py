"""Optimizer steps that a gradient scaler leaves out because float16 cannot hold the gradients."""

import math
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision
from torch.amp import GradScaler

from awlab.train.callbacks import write_row
from awlab.train.guard import LOOK_EVERY_STEPS_ON_GPU, DivergedError

LOWEST_SCALE = 2**-4
"""Below 1 scaling is to blame no more; from torch's first scale, 2^16, it is 20 steps to here."""


class SkippedSteps(Callback):
    """Counts the steps that are left out, and ends a training in which they never cease.

    With `16-mixed` gradients are scaled; where they overflow, the step is left out and the scale
    is lowered. A few of these are normal in the first epoch. Each epoch has their number so far in
    its row of metrics. Without a scaler there are none, and nothing is written.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._scale = 0.0
        self._step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        scaler = _scaler(trainer)
        if scaler is not None:
            self._scale, self._step = scaler.get_scale(), trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        scaler, step = _scaler(trainer), trainer.global_step
        if scaler is None or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        due = pl_module.device.type == "cpu" or step % LOOK_EVERY_STEPS_ON_GPU == 0
        if due or trainer.is_last_batch:
            self._look(scaler, step)
        if trainer.is_last_batch:
            write_row(trainer, {"train/skipped_steps": float(self.skipped)})

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]

    def _look(self, scaler: GradScaler, step: int) -> None:
        """Tell from the scale what happened since the last look."""
        scale, steps = scaler.get_scale(), step - self._step
        lowered = round(math.log(scale / self._scale, scaler.get_backoff_factor()))
        self.skipped += min(steps, max(0, lowered))  # It grows once in thousands of good steps.
        self._scale, self._step = scale, step
        if scale <= LOWEST_SCALE:
            raise DivergedError(
                f"float16 cannot hold the gradients, even scaled by {scale:g}: {self.skipped} "
                f"optimizer steps were left out until step {step}. Try training.precision "
                "bf16-mixed, a lower learning rate or a warm-up"
            )


def _scaler(trainer: pl.Trainer) -> GradScaler | None:
    precision = trainer.precision_plugin
    return precision.scaler if isinstance(precision, MixedPrecision) else None
