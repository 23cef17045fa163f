"""What a run will cost, from a few steps of it."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from awlab.plan.bill import Estimate
from awlab.spec.experiment import Experiment
from awlab.train.quiet import deterministic, logged
from awlab.train.smoke import rehearse

WARM_UP, FEWEST, MOST, SECONDS = 2, 3, 50, 5.0
CHECKPOINTS = 3
"""That a run keeps: the best, the last, and the one before."""


def estimate(experiment: Experiment) -> Estimate:
    """Train some steps on random images, as a run of a study on one device does, and extrapolate.

    On a CPU that is with one thread, because such runs are executed side by side.
    What is counted is training: validation, reading images that are not in memory, and what a run
    does once come on top.

    Raises:
        InputError: When the experiment cannot be run as it is.
    """
    pace = _Pace()
    with logged(None), deterministic(), _one_thread():
        data = rehearse(experiment, 1, WARM_UP + MOST, [pace])
    training = experiment.training
    steps = training.epochs * data.train_size / training.batch_size
    return Estimate(seconds=steps * pace.step_seconds, bytes=CHECKPOINTS * pace.state_bytes)


@contextmanager
def _one_thread() -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Pace(Callback):
    """Times optimizer steps, and ends the training when it has seen enough of them."""

    step_seconds: float
    state_bytes: int

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        outputs["loss"].item()  # Waits for the device.
        steps = trainer.global_step - WARM_UP
        if steps == 0:
            self._start = time.perf_counter()
        if steps < FEWEST:
            return
        seconds = time.perf_counter() - self._start
        self.step_seconds = seconds / steps
        trainer.should_stop = trainer.should_stop or seconds > SECONDS

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        states = [state for optimizer in trainer.optimizers for state in optimizer.state.values()]
        stored = [*pl_module.state_dict().values(), *(v for s in states for v in s.values())]
        self.state_bytes = sum(value.nbytes for value in stored if torch.is_tensor(value))
