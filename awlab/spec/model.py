"""Networks."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from awlab.spec.attention import Attention
from awlab.spec.base import Family, Spec
from awlab.spec.conv import AWConvolution, Conv
from awlab.spec.metrics import Task
from awlab.spec.weights import Weights

Stages = Annotated[tuple[int, ...], Field(strict=False, min_length=1)]


class Model(Family):
    """A network."""

    task: ClassVar[Task] = "classification"

    weights: Weights | None = None
    """What it begins with; `null` is random weights, drawn under the seed."""

    @property
    def structure(self) -> Self:
        """The same network without what it begins with, for weights that follow."""
        return self.model_copy(update={"weights": None})

    @property
    def beginning(self) -> dict[str, Any]:
        """What decides initial weights beside the seed and the structure."""
        return {"weights": None if self.weights is None else self.weights.meaning}


def _check_stages(stages: tuple[int, ...], last: int) -> tuple[int, ...]:
    wrong = [stage for stage in stages if not 1 <= stage <= last]
    if wrong or len(set(stages)) < len(stages):
        raise ValueError(f"stages must be distinct numbers from 1 to {last}, not {list(stages)}")
    return tuple(sorted(stages))


class ResNet(Model):
    """ResNet (He et al. 2016)."""

    kind: Literal["resnet"] = "resnet"
    depth: Literal[18, 34, 50, 101, 152] = 50
    """Layers; from 50 on the blocks are bottlenecks."""
    width: int = Field(default=64, ge=1)
    """Channels of the stem; the stages have 1, 2, 4, 8 times as many (x4 for bottlenecks)."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """`imagenet`: 7x7 stride 2 and max-pool; `cifar`: 3x3 stride 1."""
    stride_in: Literal["1x1", "3x3"] = "1x1"
    """Which convolution of a bottleneck has the stride: `1x1` is v1, the paper's; `3x3` is v1.5.
    The basic blocks of depths 18 and 34 have no such choice."""
    conv: Conv | None = None
    """Takes the place of the 3x3 convolutions of the blocks."""
    conv_stages: Stages = (1, 2, 3, 4)
    """Stages in which `conv` is used."""
    attention: Attention | None = None
    """Placed after the last normalisation of each block, before the addition."""

    @field_validator("conv_stages")
    @classmethod
    def _stages_exist(cls, stages: tuple[int, ...]) -> tuple[int, ...]:
        return _check_stages(stages, 4)

    @model_validator(mode="after")
    def _bottlenecks_have_the_choice(self) -> "ResNet":
        if self.stride_in == "3x3" and self.depth < 50:
            raise ValueError(
                f"stride_in: '3x3' would be ignored at depth {self.depth}, whose blocks have no "
                "1x1 convolution to choose from; leave it out, or take depth 50, 101 or 152"
            )
        return self


class WideResNet(Model):
    """Wide ResNet (Zagoruyko and Komodakis 2016): pre-activation, three stages."""

    kind: Literal["wide_resnet"] = "wide_resnet"
    depth: int = 28
    """Layers, 6 n + 4 with n blocks per stage."""
    width: int = Field(default=10, ge=1)
    """Widening factor: the stages have 16, 32, 64 times as many channels."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Between the two convolutions of a block."""
    conv: Conv | None = None
    """Takes the place of both 3x3 convolutions of the blocks."""
    conv_stages: Stages = (1, 2, 3)
    """Stages in which `conv` is used."""
    attention: Attention | None = None
    """Placed after the second convolution of each block, before the addition."""

    @field_validator("depth")
    @classmethod
    def _depth_fits(cls, depth: int) -> int:
        return _check_wide_depth(depth)

    @field_validator("conv_stages")
    @classmethod
    def _stages_exist(cls, stages: tuple[int, ...]) -> tuple[int, ...]:
        return _check_stages(stages, 3)


def _check_wide_depth(depth: int) -> int:
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth (={depth}) must be 6 n + 4 with n >= 1: 10, 16, 22, 28, ...")
    return depth


class MobileNet(Model):
    """MobileNet v1 (Howard et al. 2017): 13 depthwise separable blocks."""

    kind: Literal["mobilenet"] = "mobilenet"
    width: float = Field(default=1.0, gt=0)
    """Width multiplier alpha, of the channels of all layers."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """`imagenet`: 3x3 stride 2; `cifar`: 3x3 stride 1."""
    conv: Conv | None = None
    """Takes the place of the pointwise convolutions."""
    conv_blocks: Literal["all", "odd", "even"] = "all"
    """Blocks in which `conv` is used, counted from 1. The paper says every second one; only `all`
    has the parameters that its Table 1 prints."""
    attention: Attention | None = None
    """Placed after the activations of the depthwise and of the pointwise convolution."""

    @model_validator(mode="after")
    def _blocks_are_of_a_conv(self) -> "MobileNet":
        if self.conv is None and self.conv_blocks != "all":
            raise ValueError(f"conv_blocks (={self.conv_blocks!r}) would be ignored without a conv")
        return self


class SelfAttention(Spec):
    """The self-attention of an attention-augmented convolution (Bello et al. 2019)."""

    heads: int = Field(default=8, ge=1)
    """N_h."""
    key_ratio: float = Field(default=0.2, gt=0)
    """kappa: key dims over output channels."""
    value_ratio: float = Field(default=0.1, gt=0, lt=1)
    """upsilon: value dims over output channels."""
    min_key_dims_per_head: int = Field(default=0, ge=0)
    """Fewest key dims per head; 20 in Bello et al., 0 in the network that the parameter counts of
    the paper's Table 2 belong to."""
    qkv_kernel_size: Literal[1, 3] = 3
    """Kernel of the convolution that makes queries, keys and values: 1 in Bello et al., 3 in the
    network of Table 2."""
    relative: bool = True
    """Whether the logits have relative position terms."""


class AWInAA(Spec):
    """Where an AW-convolution stands in an AA block (the paper's Figure 2b)."""

    position: Literal[0, 1, 2, 3]
    """0: second 3x3 convolution of the block; 1, 2, 3: conv1 (parallel to the attention),
    conv2 (queries, keys, values), conv3 (output) of the augmented convolution."""
    conv: Conv = AWConvolution()
    """What stands there."""


class AAWideResNet(Model):
    """Wide ResNet with an attention-augmented convolution per block (Bello et al. 2019)."""

    kind: Literal["aa_wide_resnet"] = "aa_wide_resnet"
    depth: int = 28
    """Layers, 6 n + 4 with n blocks per stage."""
    width: int = Field(default=10, ge=1)
    """Widening factor: the stages have 16, 32, 64 times as many channels."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Between the two convolutions of a block."""
    self_attention: SelfAttention = SelfAttention()
    """Of each augmented convolution."""
    aw: AWInAA | None = None
    """AW-AA-Wide-ResNet-0..3 (Table 2)."""
    attention: Attention | None = None
    """Placed after the second convolution of each block, before the addition."""

    @field_validator("depth")
    @classmethod
    def _depth_fits(cls, depth: int) -> int:
        return _check_wide_depth(depth)

    @model_validator(mode="after")
    def _heads_divide(self) -> "AAWideResNet":
        attention = self.self_attention
        for channels in (16 * self.width, 32 * self.width, 64 * self.width):
            dk, dv = attention_dims(attention, channels)
            for name, dims in (("key", dk), ("value", dv)):
                if dims < 1 or dims % attention.heads:
                    raise ValueError(
                        f"self_attention: {name} dims (={dims}) of the stage with {channels} "
                        f"channels must be a positive multiple of heads (={attention.heads})"
                    )
        return self


def attention_dims(attention: SelfAttention, channels: int) -> tuple[int, int]:
    """Key and value dims (dk, dv), over all heads, of a layer with that many output channels."""
    dk = max(int(attention.key_ratio * channels), attention.min_key_dims_per_head * attention.heads)
    return dk, int(attention.value_ratio * channels)
