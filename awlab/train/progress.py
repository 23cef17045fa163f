"""How a training is watched: a live line on a terminal, a line per epoch elsewhere."""

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from awlab.record.record import best_of, read_epochs, read_validations
from awlab.record.run_directory import RunDirectory
from awlab.spec.metrics import deciding_metric
from awlab.train.callbacks import Recorder

REDRAW_SECONDS = 0.2
SHORT = {"val/top1_error": "error", "val/map": "AP"}
"""What decides, in a word."""


class Watch(Callback):
    """Shows epoch, step, loss, what validation says, best, images per second and time left.

    Args:
        console: Where.
        directory: Of the run; its metrics are what is shown.
        recorder: Knows the speed.
    """

    def __init__(self, console: Console, directory: RunDirectory, recorder: Recorder) -> None:
        self.console = console
        self.directory = directory
        self.recorder = recorder
        self._live: tuple[Progress, TaskID] | None = None
        self._start = (0.0, 0)
        self._drawn = 0.0
        self._errors = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = (time.monotonic(), trainer.global_step)
        if not self.console.is_terminal:
            return
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        done = trainer.global_step
        task = progress.add_task("", total=_steps(trainer), completed=done, numbers="")
        self._live = (progress, task)
        progress.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        now = time.monotonic()
        if self._live is None or now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        progress, task = self._live
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches
        progress.update(
            task,
            completed=trainer.global_step,
            description=_epoch(trainer),
            numbers=f"step {trainer.global_step}  loss {loss:.3f}  {self._errors}"
            f"{self.recorder.images_per_second:.0f} images/s",
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._errors = self._validated()
        loss = read_epochs(self.directory)[-1].metrics["train/loss"]
        left = "" if self._live else f"  {_duration(self._seconds_left(trainer))} left"
        self.console.print(
            f"{_epoch(trainer)}  loss {loss:.3f}  {self._errors}"
            f"{self.recorder.images_per_second:.0f} images/s{left}",
            highlight=False,
            soft_wrap=True,
        )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._live is not None:
            self._live[0].stop()
            self._live = None

    def _validated(self) -> str:
        validations = read_validations(self.directory)
        last, best = validations[-1], best_of(validations)
        metric = deciding_metric(last.metrics, "val")
        return (
            f"val {SHORT[metric]} {last.metrics[metric]:.2f} %  "
            f"best {best.metrics[metric]:.2f} % (epoch {best.epoch + 1})  "
        )

    def _seconds_left(self, trainer: pl.Trainer) -> float:
        since, step = self._start
        done = trainer.global_step - step
        return (time.monotonic() - since) / max(done, 1) * (_steps(trainer) - trainer.global_step)


def _epoch(trainer: pl.Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"


def _steps(trainer: pl.Trainer) -> int:
    assert trainer.max_epochs is not None
    batches = int(trainer.num_training_batches) * trainer.max_epochs
    return batches // trainer.accumulate_grad_batches


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
