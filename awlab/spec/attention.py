"""What may refine activations at the end of a block."""

from typing import Literal

from pydantic import Field, field_validator

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


class ECA(Attention):
    """Efficient Channel Attention (Wang et al. 2020), from timm (extra `zoo`)."""

    kind: Literal["eca"] = "eca"
    kernel_size: int | None = Field(default=None, ge=1)
    """Neighbouring channels that are seen together, odd; `null` is the rule of Wang et al., which
    grows with the logarithm of the channels: 3 for 32, 5 for 256, 7 for 2048."""

    @field_validator("kernel_size")
    @classmethod
    def _is_odd(cls, size: int | None) -> int | None:
        if size is not None and size % 2 == 0:
            raise ValueError(f"kernel_size (={size}) must be odd")
        return size


class GatherExcite(Attention):
    """Gather-Excite without parameters (Hu et al. 2018), from timm (extra `zoo`)."""

    kind: Literal["gather_excite"] = "gather_excite"
    extent: Literal[0, 2, 4, 8] = 0
    """Pixels between two means, each over about twice as many; 0 is one mean over the whole map."""


class GlobalContext(Attention):
    """Global context block (Cao et al. 2019), from timm (extra `zoo`)."""

    kind: Literal["global_context"] = "global_context"
    reduction: int = Field(default=16, ge=1)
    """Channels over hidden channels."""
    fusion: Literal["add", "scale"] = "add"
    """How the context acts on the maps: `add` is that of Cao et al., `scale` is a gate."""
