from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from awlab.spec.training import SGD, Training
from awlab.train import callbacks
from awlab.train.callbacks import Recorder, StepSeed, write_row
from awlab.train.classification import ClassificationModule


class Logger:
    def __init__(self):
        self.rows = []

    def log_metrics(self, metrics, step):
        self.rows.append((step, metrics))


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: now.seconds)
    return now


@pytest.fixture
def trainer():
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.5}])
    return SimpleNamespace(
        global_step=0,
        current_epoch=0,
        global_rank=0,
        accumulate_grad_batches=1,
        is_last_batch=False,
        optimizers=[optimizer],
        strategy=SimpleNamespace(reduce=lambda value, reduce_op: value),
        loggers=[Logger(), Logger()],
    )


@pytest.fixture
def module():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    training = Training(epochs=1, batch_size=8, optimizer=SGD(lr=0.1))
    return ClassificationModule(network, training, num_classes=2, train_size=8)


def batch():
    return torch.randn(8, 1, 2, 2), torch.zeros(8, dtype=torch.int64)


def draw(trainer, *, seed=0, batch_idx=0):
    nothing: Any = None
    StepSeed(seed).on_train_batch_start(trainer, nothing, nothing, batch_idx)
    return torch.rand(1).item()


def test_randomness_depends_on_the_place_and_on_nothing_before(trainer):
    first = draw(trainer)
    torch.rand(100)
    assert draw(trainer) == first


@pytest.mark.parametrize("change", [{"seed": 1}, {"batch_idx": 1}])
def test_randomness_differs_between_seeds_and_steps(trainer, change):
    assert draw(trainer, **change) != draw(trainer)


@pytest.mark.parametrize("change", [{"current_epoch": 1}, {"global_rank": 1}])
def test_randomness_differs_between_epochs_and_ranks(trainer, change):
    first = draw(trainer)
    trainer.__dict__.update(change)
    assert draw(trainer) != first


def test_a_row_goes_to_all_loggers_with_its_place(trainer):
    trainer.global_step, trainer.current_epoch = 7, 2
    write_row(trainer, {"val/loss": 0.5})
    assert all(log.rows == [(7, {"val/loss": 0.5, "epoch": 2})] for log in trainer.loggers)


def step(recorder, trainer, module, clock, *, seconds, batch_idx=0):
    recorder.on_train_batch_start(trainer, module, None, batch_idx)
    loss = module.training_step(batch(), batch_idx)
    clock.seconds += seconds
    trainer.optimizers[0].param_groups[0]["lr"] /= 2  # The schedule has stepped by then.
    outputs = {"loss": loss / trainer.accumulate_grad_batches}
    recorder.on_train_batch_end(trainer, module, outputs, None, batch_idx)
    return loss.item()


def test_speed_is_that_of_training_alone(trainer, module, clock):
    recorder = Recorder(images_per_step=8)
    assert recorder.images_per_second == 0
    recorder.on_train_start(trainer, module)
    step(recorder, trainer, module, clock, seconds=1.5)
    trainer.is_last_batch = True
    step(recorder, trainer, module, clock, seconds=0.5)
    module.validation_step(batch(), 0)
    clock.seconds += 30
    recorder.on_validation_end(trainer, module)
    assert (recorder.training_seconds, recorder.validation_seconds) == (2.0, 30.0)
    assert recorder.images_per_second == 8


def test_the_last_step_of_an_epoch_writes_its_metrics_and_the_rate_that_was_used(
    trainer, module, clock
):
    recorder = Recorder(images_per_step=8)
    recorder.on_train_start(trainer, module)
    trainer.is_last_batch, trainer.global_step = True, 1
    loss = step(recorder, trainer, module, clock, seconds=2.0)
    ((at, row),) = trainer.loggers[0].rows
    assert at == 1
    assert row.keys() == {
        "train/loss", "train/top1_error", "train/images_per_second", "lr", "epoch",
    }  # fmt: skip
    assert row["train/loss"] == pytest.approx(loss)
    assert (row["lr"], row["train/images_per_second"]) == (0.5, 4.0)


def test_now_and_then_the_loss_of_a_step_is_written(trainer, module, clock):
    recorder = Recorder(images_per_step=8)
    recorder.on_train_start(trainer, module)
    losses = []
    for trainer.global_step in range(1, 101):
        losses.append(step(recorder, trainer, module, clock, seconds=0.1))
    assert [at for at, _ in trainer.loggers[0].rows] == [50, 100]
    assert trainer.loggers[0].rows[1][1]["train/loss_step"] == pytest.approx(losses[-1])


def test_micro_batches_are_one_step(trainer, module, clock):
    recorder = Recorder(images_per_step=16)
    recorder.on_train_start(trainer, module)
    trainer.accumulate_grad_batches, trainer.global_step = 2, 50
    step(recorder, trainer, module, clock, seconds=1.0, batch_idx=0)
    assert recorder.images == 0
    loss = step(recorder, trainer, module, clock, seconds=1.0, batch_idx=1)
    assert (recorder.images, recorder.training_seconds) == (16, 2.0)
    assert trainer.loggers[0].rows[0][1]["train/loss_step"] == pytest.approx(loss)


def test_measures_survive_in_checkpoints(trainer, module, clock):
    recorder, resumed = Recorder(images_per_step=8), Recorder(images_per_step=8)
    recorder.on_train_start(trainer, module)
    step(recorder, trainer, module, clock, seconds=2.0)
    resumed.load_state_dict(recorder.state_dict())
    clock.seconds += 1000
    resumed.on_train_start(trainer, module)
    step(resumed, trainer, module, clock, seconds=2.0)
    assert (resumed.images, resumed.training_seconds) == (16, 4.0)


def test_the_metrics_of_the_test_are_kept(trainer, module):
    recorder = Recorder(images_per_step=8)
    module.test_step(batch(), 0)
    recorder.on_test_end(trainer, module)
    assert recorder.test_metrics.keys() == {"test/loss", "test/top1_error"}
