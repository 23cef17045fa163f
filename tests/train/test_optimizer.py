import math

import pytest
import torch
from torch import nn

from awlab.spec.training import (
    SGD,
    AdamW,
    Constant,
    Cosine,
    MultiStep,
    Optimizer,
    Schedule,
    Step,
)
from awlab.train import optimizer as optimizer_module
from awlab.train.optimizer import (
    build_optimizer,
    build_schedule,
    fuses,
    learning_rate,
    parameter_groups,
)

STEPS, EPOCHS = 10, 8


def curve(schedule):
    rate = learning_rate(schedule, steps_per_epoch=STEPS, epochs=EPOCHS)
    return [rate(step) for step in range(STEPS * EPOCHS)]


def test_constant():
    assert curve(Constant()) == [1.0] * 80


def test_warm_up_rises_step_by_step_to_the_peak():
    assert curve(Constant(warmup_epochs=0.5))[:7] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0]


def test_step_drops_every_so_many_epochs():
    assert curve(Step(every_epochs=3, gamma=0.5)) == [1.0] * 30 + [0.5] * 30 + [0.25] * 20


def test_epochs_are_counted_from_the_start_of_the_warm_up():
    assert curve(Step(every_epochs=3, gamma=0.5, warmup_epochs=1))[10:40] == [1.0] * 20 + [0.5] * 10


def test_multi_step_drops_at_milestones():
    rates = curve(MultiStep(milestones=(2, 5), gamma=0.1))
    assert rates == pytest.approx([1.0] * 20 + [0.1] * 30 + [0.01] * 30)


def test_cosine_is_half_a_cosine():
    assert curve(Cosine()) == pytest.approx(
        [(1 + math.cos(math.pi * s / 80)) / 2 for s in range(80)]
    )


def test_cosine_begins_after_the_warm_up_and_ends_at_its_fraction():
    rates = curve(Cosine(warmup_epochs=2, final_fraction=0.1))
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * s / 60)) / 2 for s in range(60)]
    assert rates[20:] == pytest.approx(expected)


def test_a_warm_up_longer_than_training_never_reaches_the_peak():
    assert max(curve(Cosine(warmup_epochs=16))) == pytest.approx(0.5)


def test_the_scheduler_sets_the_rate_of_each_step():
    optimizer = build_optimizer(SGD(lr=0.4), nn.Linear(1, 1).parameters())
    scheduler = build_schedule(Cosine(warmup_epochs=1), optimizer, steps_per_epoch=4, epochs=2)
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    cosine = [0.2 * (1 + math.cos(math.pi * s / 4)) for s in range(4)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, *cosine])


def test_sgd_steps_as_defined():
    weight = nn.Parameter(torch.tensor([2.0]))
    spec = SGD(lr=0.1, momentum=0.5, weight_decay=0.1)
    optimizer = build_optimizer(spec, [{"params": [weight], "weight_decay": spec.weight_decay}])
    expected, velocity = 2.0, 0.0
    for _ in range(3):
        weight.grad = torch.tensor([1.0])
        optimizer.step()
        velocity = 0.5 * velocity + (1.0 + 0.1 * expected)
        expected -= 0.1 * velocity
    assert weight.item() == pytest.approx(expected)


def test_adamw_steps_as_defined():
    weight = nn.Parameter(torch.tensor([2.0]))
    spec = AdamW(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)
    optimizer = build_optimizer(spec, [{"params": [weight], "weight_decay": spec.weight_decay}])
    weight.grad = torch.tensor([0.5])
    optimizer.step()
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.1) - 0.1 * 0.5 / (0.5 + 1e-3))


def test_all_parameters_decay():
    (group,) = parameter_groups(nn.Linear(2, 2), SGD(lr=0.1, weight_decay=0.3))
    assert (len(group["params"]), group["weight_decay"]) == (2, 0.3)


def test_only_weights_decay():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    decayed, others = parameter_groups(module, SGD(lr=0.1, weight_decay=0.3, decay="weights"))
    assert [parameter.shape for parameter in decayed["params"]] == [(2, 1, 3, 3)]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert len(others["params"]) == 3


@pytest.mark.parametrize(
    ("spec", "device", "expected"),
    [
        (SGD(lr=0.1), "cuda", True),
        (AdamW(lr=0.1), "cuda:1", True),
        (SGD(lr=0.1), "cpu", False),
        (Optimizer.model_construct(lr=0.1), "cuda", False),
    ],
)
def test_on_gpus_the_optimizers_of_torch_are_fused(spec, device, expected):
    assert fuses(spec, torch.device(device)) is expected


def test_on_a_cpu_arithmetic_stays_as_it_was():
    groups = parameter_groups(nn.Linear(2, 2), SGD(lr=0.1, decay="weights"))
    assert all("fused" not in group for group in groups)


@pytest.mark.parametrize("spec", [SGD(lr=0.1, decay="weights", nesterov=True), AdamW(lr=0.1)])
def test_a_fused_optimizer_steps_alike_and_leaves_gradients_to_be_clipped(spec, monkeypatch):
    def train():
        torch.manual_seed(0)
        module = nn.Linear(5, 3)
        optimizer = build_optimizer(spec, parameter_groups(module, spec))
        for _ in range(3):
            optimizer.zero_grad()
            module(torch.randn(4, 5)).square().sum().backward()
            optimizer.step()
        return module.state_dict(), optimizer

    expected, plain = train()
    monkeypatch.setattr(optimizer_module, "fuses", lambda spec, device: True)
    found, fused = train()
    torch.testing.assert_close(found, expected)
    assert [group["fused"] for group in plain.param_groups] == [None] * len(plain.param_groups)
    assert [group["fused"] for group in fused.param_groups] == [True] * len(plain.param_groups)
    # What Lightning asks before it clips.
    assert not getattr(fused, "_step_supports_amp_scaling", False)


def test_an_unregistered_schedule_is_named():
    with pytest.raises(NotImplementedError, match="no learning rate is registered for Schedule"):
        curve(Schedule.model_construct())
