"""How a network is trained: everything here can change the result."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from awlab.spec.base import Family, Spec

DecayRate = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Family):
    """An optimizer."""

    lr: float = Field(gt=0)
    """Peak learning rate, for the whole `training.batch_size`."""
    weight_decay: float = Field(default=0.0, ge=0)
    """As torch defines it for this optimizer."""
    decay: Literal["all", "weights"] = "all"
    """Which parameters decay: `weights` leaves out biases and normalisation parameters."""


class SGD(Optimizer):
    """Stochastic gradient descent."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of the gradient."""
    nesterov: bool = False
    """Nesterov's momentum."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> "SGD":
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum greater than 0")
        return self


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    betas: Annotated[tuple[DecayRate, DecayRate], Field(strict=False)] = (0.9, 0.999)
    """Decay rates of the two moments."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the second moment."""


class Schedule(Family):
    """The learning rate over time."""

    warmup_epochs: float = Field(default=0.0, ge=0)
    """Linear rise from zero to the peak over this many epochs, step by step."""


class Constant(Schedule):
    """The peak learning rate throughout."""

    kind: Literal["constant"] = "constant"


class Step(Schedule):
    """Multiply by `gamma` every `every_epochs`."""

    kind: Literal["step"] = "step"
    every_epochs: int = Field(ge=1)
    """Epochs between two drops."""
    gamma: float = Field(default=0.1, gt=0, lt=1)
    """Factor of a drop."""


class MultiStep(Schedule):
    """Multiply by `gamma` at each milestone."""

    kind: Literal["multi_step"] = "multi_step"
    milestones: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]
    """Epochs, counted from the start of training, at which the learning rate drops."""
    gamma: float = Field(default=0.1, gt=0, lt=1)
    """Factor of a drop."""

    @field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, milestones: tuple[int, ...]) -> tuple[int, ...]:
        if any(later <= earlier for earlier, later in pairwise((0, *milestones))):
            raise ValueError(f"milestones must be rising epochs from 1 on, not {list(milestones)}")
        return milestones


class Cosine(Schedule):
    """Half a cosine, step by step, from the end of the warm-up to the last step."""

    kind: Literal["cosine"] = "cosine"
    final_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Last learning rate over the peak."""


class EMA(Spec):
    """Exponential moving average of the weights, used wherever the network is evaluated."""

    decay: float = Field(default=0.999, gt=0, lt=1)
    """Weight of the old average at each optimizer step."""


class Training(Spec):
    """The recipe."""

    epochs: int = Field(ge=1)
    """Passes over the training images."""
    batch_size: int = Field(ge=1)
    """Images per optimizer step, over all devices: never changes with their number. The last
    incomplete batch of an epoch is left out."""
    optimizer: Optimizer
    """How gradients change weights."""
    schedule: Schedule = Constant()
    """The learning rate over time."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Of the cross-entropy, as in torch."""
    gradient_clip_norm: float | None = Field(default=None, gt=0)
    """Largest norm of the whole gradient."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Lightning's word for the number format."""
    ema: EMA | None = None
    """Average the weights."""
    sync_batchnorm: bool = True
    """Batch normalisation sees the images of all devices, so that a run means the same on one
    device and on several."""
    test_weights: Literal["last", "best"] = "last"
    """Which weights the test set sees: of the last epoch, or of the epoch with the lowest
    `val/top1_error`, of a detector the highest `val/map`."""
