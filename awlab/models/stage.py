"""What residual networks have in common: stages of blocks, made by factories."""

from collections.abc import Callable

from torch import nn

from awlab.nn.augmented_conv import ConvFactory as ConvFactory
from awlab.nn.location import inside

AttentionFactory = Callable[[int], nn.Module]
"""Called with the channels of the activations; `nn.Identity` is no attention."""


def is_attention(name: str) -> bool:
    """Whether a tensor or layer belongs to attention, which no pretrained network has.

    Args:
        name: Dotted, within a residual network, a detector or an AW-convolution.
    """
    return "attention" in name.split(".")


def stage(
    blocks: int, block: Callable[..., nn.Module], channels: tuple[int, int], stride: int
) -> nn.Sequential:
    """Stack blocks; the first one has the stride and changes the channels.

    Args:
        blocks: How many.
        block: Called with (in_channels, out_channels, stride).
        channels: In and out.
        stride: Of the first block.
    """
    in_channels, out_channels = channels
    layers = nn.Sequential()
    for index in range(blocks):
        with inside(str(index)):
            layers.append(
                block(in_channels, out_channels, stride)
                if index == 0
                else block(out_channels, out_channels, 1)
            )
    return layers
