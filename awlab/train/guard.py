"""When a training saves its state and when it stops, agreed on by all ranks."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch import distributed as dist

from awlab.record.record import best_of, read_validations
from awlab.record.run_directory import RunDirectory
from awlab.spec.experiment import Experiment
from awlab.train.checkpoint import keep_as
from awlab.train.signals import StopError, StopSignals

LOOK_EVERY_STEPS_ON_GPU = 10
"""Optimizer steps between two looks at loss and signals on a GPU: to look is to wait for it."""

_NEVER = -(2**62)


class DivergedError(RuntimeError):
    """The loss or a weight is no longer finite."""


class Guard(Callback):
    """Writes checkpoints, stops on a signal after writing one, and never writes a diverged one.

    Within an epoch a checkpoint is written between two steps, at its end after validation. Nothing
    is written between the last step of an epoch and the end of its validation, because Lightning
    would skip that validation on resume: a signal that comes then waits.

    Args:
        experiment: Written into the checkpoints, so that they say what they belong to.
        directory: Takes the checkpoints.
        stop: Tells of signals.
    """

    def __init__(self, experiment: Experiment, directory: RunDirectory, stop: StopSignals) -> None:
        self.experiment = experiment
        self.directory = directory
        self.stop = stop
        self.every_steps = experiment.runtime.checkpoint_every_steps
        self._epoch_ended = False
        self._diverged = torch.tensor(_NEVER)
        """Minus the first step with a bad loss: the maximum over ranks is the first of all."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stop.listen()  # Lightning took SIGTERM just before, with a handler that can deadlock.
        self.stop.deferred = True
        self._diverged = self._diverged.to(pl_module.device)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stop.deferred = False

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self.stop.deferred = False

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stop.listen()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        step = trainer.global_step
        self._note(outputs["loss"].detach(), step)
        if (batch_idx + 1) % trainer.accumulate_grad_batches or trainer.is_last_batch:
            return
        due = self.every_steps is not None and step % self.every_steps == 0
        if not due and pl_module.device.type != "cpu" and step % LOOK_EVERY_STEPS_ON_GPU:
            return
        code = self._agree(trainer)
        if due or code:
            self._save(trainer, pl_module)
        if code:
            raise StopError(code)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        code = self._agree(trainer)
        self._epoch_ended = True
        self._save(trainer, pl_module)
        self._epoch_ended = False
        self._keep_if_best(trainer, trainer.current_epoch, self.directory.last_checkpoint)
        if code:
            raise StopError(code)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["epoch_ended"] = self._epoch_ended
        checkpoint["experiment"] = self.experiment.model_dump(mode="json")

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if checkpoint["epoch_ended"]:  # The process may have died before it kept the best.
            self._keep_if_best(trainer, checkpoint["epoch"], Path(str(trainer.ckpt_path)))

    def _note(self, loss: Tensor, step: int) -> None:
        fine = torch.isfinite(loss) | (self._diverged > _NEVER)
        self._diverged = torch.where(fine, self._diverged, -step)

    def _agree(self, trainer: pl.Trainer) -> int:
        """Return the exit code that any rank was asked for; raise where any rank diverged."""
        code = torch.tensor(self.stop.code, device=self._diverged.device)
        verdict = torch.stack([code, self._diverged])
        if trainer.world_size > 1:
            dist.all_reduce(verdict, op=dist.ReduceOp.MAX)
        code, diverged = verdict.tolist()
        if diverged > _NEVER:
            raise DivergedError(_told(trainer, "the loss", -diverged))
        return code

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        numbers = [*pl_module.parameters(), *pl_module.buffers()]
        if not torch.stack([torch.isfinite(number).all() for number in numbers]).all():
            raise DivergedError(_told(trainer, "a weight", trainer.global_step))
        last = self.directory.last_checkpoint
        if trainer.is_global_zero and last.exists():
            keep_as(last, self.directory.previous_checkpoint)
        trainer.save_checkpoint(last, weights_only=False)

    def _keep_if_best(self, trainer: pl.Trainer, epoch: int, checkpoint: Path) -> None:
        if trainer.is_global_zero:
            done = [v for v in read_validations(self.directory) if v.epoch <= epoch]
            if done and best_of(done).epoch == epoch:
                keep_as(checkpoint, self.directory.best_checkpoint)


def _told(trainer: pl.Trainer, what: str, step: int) -> str:
    return (
        f"{what} was not finite after step {step} (epoch {trainer.current_epoch}); the last "
        "checkpoint is from before. Try a lower learning rate, a warm-up or gradient clipping"
    )
