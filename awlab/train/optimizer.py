"""Optimizers, and learning rates as closed formulas of the step."""

import math
from collections.abc import Callable
from functools import partial, singledispatch
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

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


@singledispatch
def build_optimizer(spec: Optimizer, parameters: Any) -> torch.optim.Optimizer:
    """Build the optimizer that a spec describes; a plugin registers its own class.

    Args:
        spec: What to build.
        parameters: Parameter groups, see `parameter_groups`.
    """
    raise NotImplementedError(f"no optimizer is registered for {type(spec).__name__}")


@build_optimizer.register
def _(spec: SGD, parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=spec.lr, momentum=spec.momentum, nesterov=spec.nesterov)


@build_optimizer.register
def _(spec: AdamW, parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=spec.lr, betas=spec.betas, eps=spec.eps)


def parameter_groups(module: nn.Module, spec: Optimizer) -> list[dict[str, Any]]:
    """Split parameters into those that decay and those that do not.

    Biases and the parameters of normalisation are those with fewer than two dimensions.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    # For each group, not for the optimizer: that would then unscale gradients by itself, and
    # Lightning could not clip them.
    kernel = {"fused": True} if any(fuses(spec, each.device) for each in parameters) else {}
    if spec.decay == "all":
        return [{"params": parameters, "weight_decay": spec.weight_decay, **kernel}]
    decayed = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    return [
        {"params": decayed, "weight_decay": spec.weight_decay, **kernel},
        {"params": others, "weight_decay": 0.0, **kernel},
    ]


def fuses(spec: Optimizer, device: torch.device) -> bool:
    """Return whether torch's optimizer should update all parameters by one kernel.

    Not on a CPU: it is no faster there and rounds otherwise than earlier versions did.
    """
    return isinstance(spec, SGD | AdamW) and device.type == "cuda"


def build_schedule(
    spec: Schedule, optimizer: torch.optim.Optimizer, *, steps_per_epoch: int, epochs: int
) -> LambdaLR:
    """Build the schedule that a spec describes, to be stepped after every optimizer step."""
    return LambdaLR(optimizer, learning_rate(spec, steps_per_epoch=steps_per_epoch, epochs=epochs))


def learning_rate(spec: Schedule, *, steps_per_epoch: int, epochs: int) -> Callable[[int], float]:
    """The learning rate over its peak, as a function of the step, counted from 0.

    Step s of a warm-up of W steps has (s + 1) / W of the peak.
    """
    warmup = round(spec.warmup_epochs * steps_per_epoch)
    return partial(
        _warmed_up,
        spec,
        warmup=warmup,
        steps_per_epoch=steps_per_epoch,
        steps=epochs * steps_per_epoch,
    )


def _warmed_up(
    spec: Schedule, step: int, *, warmup: int, steps_per_epoch: int, steps: int
) -> float:
    if step < warmup:
        return (step + 1) / warmup
    after_warmup = (step - warmup) / max(1, steps - warmup)
    return factor(spec, epoch=step // steps_per_epoch, after_warmup=after_warmup)


@singledispatch
def factor(spec: Schedule, *, epoch: int, after_warmup: float) -> float:
    """The learning rate over its peak after the warm-up; a plugin registers its own class.

    Args:
        spec: The schedule.
        epoch: Counted from 0, from the start of training.
        after_warmup: Part of the steps after the warm-up that are done, in [0, 1).
    """
    raise NotImplementedError(f"no learning rate is registered for {type(spec).__name__}")


@factor.register
def _(spec: Constant, *, epoch: int, after_warmup: float) -> float:
    del spec, epoch, after_warmup
    return 1.0


@factor.register
def _(spec: Step, *, epoch: int, after_warmup: float) -> float:
    del after_warmup
    return spec.gamma ** (epoch // spec.every_epochs)


@factor.register
def _(spec: MultiStep, *, epoch: int, after_warmup: float) -> float:
    del after_warmup
    return spec.gamma ** sum(milestone <= epoch for milestone in spec.milestones)


@factor.register
def _(spec: Cosine, *, epoch: int, after_warmup: float) -> float:
    del epoch
    cosine = (1 + math.cos(math.pi * after_warmup)) / 2
    return spec.final_fraction + (1 - spec.final_fraction) * cosine
