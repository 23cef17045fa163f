import pytest

from awlab.spec.errors import SpecError
from awlab.spec.load import parse
from awlab.spec.training import (
    EMA,
    SGD,
    AdamW,
    Constant,
    Cosine,
    MultiStep,
    Optimizer,
    Schedule,
    Step,
    Training,
)

RECIPE = {"epochs": 1, "batch_size": 2, "optimizer": {"kind": "sgd", "lr": 0.1}}


def test_defaults():
    training = parse(Training, RECIPE)
    assert training.optimizer == SGD(lr=0.1, momentum=0.9, weight_decay=0.0, decay="all")
    assert training.schedule == Constant()
    assert training.ema is None


@pytest.mark.parametrize(
    ("data", "spec"),
    [
        ({"kind": "constant", "warmup_epochs": 1}, Constant(warmup_epochs=1.0)),
        ({"kind": "step", "every_epochs": 30}, Step(every_epochs=30, gamma=0.1)),
        ({"kind": "multi_step", "milestones": [1, 5]}, MultiStep(milestones=(1, 5))),
        ({"kind": "cosine", "final_fraction": 0}, Cosine(final_fraction=0.0)),
    ],
)
def test_schedules(data, spec):
    assert parse(Schedule, data) == spec


@pytest.mark.parametrize("milestones", [[0], [-1, 2], [60, 60], [120, 60]])
def test_milestones_rise(milestones):
    message = "milestones: milestones must be rising epochs from 1 on, not"
    with pytest.raises(SpecError, match=message):
        parse(Schedule, {"kind": "multi_step", "milestones": milestones})


def test_nesterov_needs_momentum():
    assert parse(Optimizer, {"kind": "sgd", "lr": 1, "nesterov": True})
    with pytest.raises(SpecError, match="nesterov needs a momentum greater than 0"):
        parse(Optimizer, {"kind": "sgd", "lr": 1, "nesterov": True, "momentum": 0})


def test_adamw():
    assert parse(Optimizer, {"kind": "adamw", "lr": 1}) == AdamW(lr=1.0, betas=(0.9, 0.999))
    with pytest.raises(SpecError, match=r"betas\.1: must be less than 1\.0, not 1"):
        parse(Optimizer, {"kind": "adamw", "lr": 1, "betas": [0.9, 1]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs: must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size: must be at least 1, not 0"),
        ({"optimizer": {"kind": "sgd", "lr": 0}}, "optimizer.lr: must be greater than 0.0, not 0"),
        ({"optimizer": {"kind": "sgd"}}, "optimizer.lr: is missing"),
        ({"optimizer": {"kind": "adam", "lr": 1}}, "optimizer.kind: no optimizer of kind 'adam'"),
        ({"label_smoothing": 1}, "label_smoothing: must be less than 1.0, not 1"),
        ({"gradient_clip_norm": 0}, "gradient_clip_norm: must be greater than 0.0, not 0"),
        ({"ema": {"decay": 1}}, "ema.decay: must be less than 1.0, not 1"),
        ({"ema": True}, "ema: must be a mapping, not true"),
        ({"test_weights": "ema"}, "test_weights: must be 'last' or 'best', not 'ema'"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(SpecError, match=f"^{message}"):
        parse(Training, {**RECIPE, **change})


def test_ema():
    assert parse(Training, {**RECIPE, "ema": {}}).ema == EMA(decay=0.999)
