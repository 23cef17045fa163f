import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from awlab.execute.exit_codes import PREEMPTED
from awlab.record.run_directory import RunDirectory
from awlab.train.guard import DivergedError, Guard
from awlab.train.json_lines import JSONLinesLogger
from awlab.train.signals import StopError, StopSignals


class Trainer(SimpleNamespace):
    """As much of Lightning's trainer as a guard sees."""

    def __init__(self, guard):
        super().__init__(
            global_step=0,
            current_epoch=0,
            accumulate_grad_batches=1,
            is_last_batch=False,
            is_global_zero=True,
            world_size=1,
            ckpt_path=None,
        )
        self.guard = guard
        self.saved = []

    def save_checkpoint(self, path, *, weights_only):
        assert not weights_only
        checkpoint = {}
        self.guard.on_save_checkpoint(self, None, checkpoint)
        self.saved.append((self.global_step, checkpoint["epoch_ended"]))
        path.parent.mkdir(exist_ok=True, parents=True)
        path.unlink(missing_ok=True)  # Checkpoints are replaced, never written into.
        path.write_text(f"step {self.global_step}")


class Training:
    """Steps through a training in front of a guard."""

    def __init__(self, experiment, network=None):
        self.directory = RunDirectory.of(experiment)
        self.directory.path.mkdir(parents=True)
        self.stop = StopSignals()
        self.guard = Guard(experiment, self.directory, self.stop)
        self.trainer: Any = Trainer(self.guard)
        self.module: Any = network or nn.Linear(1, 1)
        self.module.device = torch.device("cpu")
        self.rows = JSONLinesLogger(self.directory.metrics, attempt=1)
        self.batches = 0

    def step(self, loss=1.0, *, last=False):
        self.batches += 1
        self.trainer.is_last_batch = last
        if self.batches % self.trainer.accumulate_grad_batches == 0:
            self.trainer.global_step += 1
        outputs = {"loss": torch.tensor(loss)}
        self.guard.on_train_batch_end(self.trainer, self.module, outputs, None, self.batches - 1)

    def end_epoch(self, error):
        metrics = {"val/loss": 1.0, "val/top1_error": error, "epoch": self.trainer.current_epoch}
        self.rows.log_metrics(metrics, step=self.trainer.global_step)
        self.guard.on_train_epoch_end(self.trainer, self.module)
        self.trainer.current_epoch += 1


@pytest.fixture
def training(tiny):
    return lambda network=None, **runtime: Training(tiny(runtime=runtime), network)


def test_checkpoints_every_so_many_steps_but_not_before_validation(training):
    run = training(checkpoint_every_steps=2)
    for last in (False, False, False, True):
        run.step(last=last)
    run.end_epoch(50.0)
    assert run.trainer.saved == [(2, False), (4, True)]


def test_without_a_number_of_steps_there_is_one_per_epoch(training):
    run = training()
    for _ in range(2):
        run.step()
        run.step(last=True)
        run.end_epoch(50.0)
    assert run.trainer.saved == [(2, True), (4, True)]


def test_a_checkpoint_is_between_optimizer_steps(training):
    run = training(checkpoint_every_steps=1)
    run.trainer.accumulate_grad_batches = 3
    for _ in range(6):
        run.step()
    assert run.trainer.saved == [(1, False), (2, False)]


def test_the_one_before_is_kept(training):
    run = training(checkpoint_every_steps=1)
    run.step()
    run.step()
    assert run.directory.last_checkpoint.read_text() == "step 2"
    assert run.directory.previous_checkpoint.read_text() == "step 1"


def test_the_best_is_the_first_of_the_lowest(training):
    run = training()
    for error in (30.0, 20.0, 25.0, 20.0):
        run.step(last=True)
        run.end_epoch(error)
    assert run.directory.best_checkpoint.read_text() == "step 2"


def test_a_best_that_was_not_kept_in_time_is_kept_on_resume(training, tmp_path):
    run = training()
    run.step(last=True)
    run.end_epoch(30.0)
    run.directory.best_checkpoint.unlink()
    run.trainer.ckpt_path = run.directory.last_checkpoint
    checkpoint = {"epoch": 0, "epoch_ended": True}
    run.guard.on_load_checkpoint(run.trainer, run.module, checkpoint)
    assert run.directory.best_checkpoint.read_text() == "step 1"


def test_a_signal_within_an_epoch_is_obeyed_after_the_step(training):
    run = training()
    run.step()
    run.stop.code = PREEMPTED
    with pytest.raises(StopError) as stopped:
        run.step()
    assert stopped.value.code == PREEMPTED
    assert run.trainer.saved == [(2, False)]


@pytest.mark.fault
def test_a_signal_in_the_last_step_waits_for_the_validation(training):
    run = training()
    run.stop.code = PREEMPTED
    run.step(last=True)
    assert run.trainer.saved == []
    with pytest.raises(StopError):
        run.end_epoch(50.0)
    assert run.trainer.saved == [(1, True)]
    assert run.directory.best_checkpoint.exists()


def test_signals_wait_during_a_training_only(training):
    run = training()
    with run.stop:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # As Lightning would.
        run.guard.on_train_start(run.trainer, run.module)
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.stop.code == PREEMPTED
        run.guard.on_train_end(run.trainer, run.module)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run.guard.on_test_start(run.trainer, run.module)
        with pytest.raises(StopError):
            os.kill(os.getpid(), signal.SIGTERM)


def test_signals_do_not_wait_after_an_error(training):
    run = training()
    with run.stop:
        run.guard.on_train_start(run.trainer, run.module)
        run.guard.on_exception(run.trainer, run.module, KeyError())
        with pytest.raises(StopError):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.fault
@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_unsaved(training, loss):
    run = training(checkpoint_every_steps=1)
    run.step()
    with pytest.raises(DivergedError, match=r"the loss was not finite after step 2 \(epoch 0\)"):
        run.step(loss)
    assert run.trainer.saved == [(1, False)]


def test_the_first_bad_loss_is_told_however_late_it_is_read(training):
    run = training()
    run.trainer.accumulate_grad_batches = 4
    for loss in (1.0, float("nan"), 1.0):
        run.step(loss)
    with pytest.raises(DivergedError, match="after step 0"):
        run.step()


@pytest.mark.fault
def test_weights_that_are_no_numbers_are_not_saved(training):
    network = nn.Linear(1, 1)
    run = training(network, checkpoint_every_steps=1)
    nn.init.constant_(network.weight, float("inf"))
    with pytest.raises(DivergedError, match="a weight was not finite after step 1"):
        run.step()
    assert run.trainer.saved == []


def test_on_a_gpu_loss_and_signals_are_looked_at_now_and_then(training):
    run = training(checkpoint_every_steps=25)
    run.module.device = torch.device("meta")  # Any but the CPU.
    run.stop.code = PREEMPTED
    for _ in range(9):
        run.step()
    with pytest.raises(StopError):
        run.step()
    assert run.trainer.saved == [(10, False)]
