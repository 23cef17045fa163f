import pytest
import torch
from torch import nn

from awlab.spec.training import SGD, Step, Training
from awlab.train.module import TrainingModule
from awlab.train.tally import Tally


class Idle(TrainingModule):
    """Trains nothing."""


def module(**recipe):
    training = Training(epochs=2, batch_size=8, optimizer=SGD(lr=0.4, decay="weights"), **recipe)
    return Idle(
        nn.Conv2d(3, 3, 2),
        training,
        train_size=40,
        tallies={"train": Tally(3), "val": Tally(3), "test": Tally(3)},
    )


def count(tally, label):
    tally.update(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([label]))


def test_optimizer_and_schedule_are_those_of_the_recipe():
    configured = module(schedule=Step(every_epochs=1, gamma=0.5)).configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    assert configured["lr_scheduler"]["interval"] == "step"
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == [0.4] * 5 + [0.2] * 5


def test_taking_metrics_begins_anew():
    idle = module()
    count(idle.tally("test"), 2)
    first = idle.take_metrics("test")
    assert first == {"test/loss": pytest.approx(0.4076, abs=1e-4), "test/top1_error": 0.0}
    count(idle.tally("test"), 0)
    assert idle.take_metrics("test")["test/top1_error"] == 100.0


def test_what_was_counted_survives_in_a_checkpoint():
    idle, resumed, checkpoint = module(), module(), {}
    count(idle.tally("train"), 2)
    idle.on_save_checkpoint(checkpoint)
    count(resumed.tally("train"), 1)  # Lost with the attempt that counted it.
    resumed.on_load_checkpoint(checkpoint)
    for each in (idle, resumed):
        count(each.tally("train"), 0)
    assert resumed.take_metrics("train") == idle.take_metrics("train")
    assert checkpoint["train_tally"].tolist()[1:] == [0.0, 1.0]
