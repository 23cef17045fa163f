"""What may refine activations at the end of a block."""

from typing import Literal

from pydantic import Field

from awlab.spec.base import Family


class Attention(Family):
    """A module that rescales the activations it is given; `null` is none."""


class SqueezeExcitation(Attention):
    """Squeeze-and-Excitation (Hu et al. 2018), with biases, as in the paper's SE rows."""

    kind: Literal["se"] = "se"
    reduction: int = Field(default=16, ge=1)
    """Channels over hidden channels."""


class CBAM(Attention):
    """Convolutional Block Attention Module (Woo et al. 2018)."""

    kind: Literal["cbam"] = "cbam"
    reduction: int = Field(default=16, ge=1)
    """Channels over hidden channels of the channel gate."""
    variant: Literal["full", "max_pool", "spatial"] = "full"
    """`max_pool` has no spatial gate, `spatial` no max-pooled features in the channel gate
    (the paper's CBAM (MaxPool) and CBAM (Spatial))."""
