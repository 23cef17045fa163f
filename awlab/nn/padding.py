"""Padding of a convolution as explicit numbers."""

# Shape suffixes: N batch, I channels, H W image.

from typing import NamedTuple, cast

import torch.nn.functional as F
from torch import Tensor, nn


class Geometry(NamedTuple):
    """Stride, zero padding and dilation per image dim, and the groups of a convolution."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


def pad(conv: nn.Conv2d, x_NIHW: Tensor) -> tuple[Tensor, Geometry]:
    """Pad the image where zeros of one width on both sides cannot express it.

    Returns:
        The image, and the geometry with what padding is left for the convolution to do.
    """
    (top, bottom), (left, right) = (padding_of(conv, dim) for dim in (0, 1))
    if conv.padding_mode == "zeros" and top == bottom and left == right:
        padding = (top, left)
    else:
        mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
        x_NIHW, padding = F.pad(x_NIHW, (left, right, top, bottom), mode), (0, 0)
    stride, dilation = cast("list[tuple[int, int]]", [conv.stride, conv.dilation])
    return x_NIHW, Geometry(stride, padding, dilation, conv.groups)


def padding_of(conv: nn.Conv2d, dim: int) -> tuple[int, int]:
    """Return the padding before and after an image dim; "same" puts the odd one after."""
    if conv.padding == "valid":
        return 0, 0
    if conv.padding == "same":
        total = conv.dilation[dim] * (conv.kernel_size[dim] - 1)
        return total // 2, total - total // 2
    return int(conv.padding[dim]), int(conv.padding[dim])
