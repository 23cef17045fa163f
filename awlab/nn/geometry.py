"""Where the taps of a convolution lie."""

# Shape suffixes: N batch, I O C channels, H W image, h w kernel.

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int]


class Geometry(NamedTuple):
    """Stride, zero padding and dilation per image dim, and the groups of a convolution."""

    stride: Size = (1, 1)
    padding: Size = (0, 0)
    dilation: Size = (1, 1)
    groups: int = 1

    def output_size(self, size: Size, kernel: Size) -> Size:
        """Return H, W of the output for an image of `size`."""

        def length(dim: int) -> int:
            reach = self.dilation[dim] * (kernel[dim] - 1) + 1
            return (size[dim] + 2 * self.padding[dim] - reach) // self.stride[dim] + 1

        return length(0), length(1)


def geometry_of(
    stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Geometry:
    """Undo what the schema of an operator of torch asks for."""
    (top, left), (down, right), (rows, columns) = padding, stride, dilation
    return Geometry((down, right), (top, left), (rows, columns), groups)


def overlap(geometry: Geometry, dim: int, tap: int, length: int, count: int) -> tuple[slice, slice]:
    """Return which of `count` outputs a tap connects with which of `length` pixels, along a dim.

    Output q meets pixel q * stride + offset; the others see padding there.
    """
    stride = geometry.stride[dim]
    offset = tap * geometry.dilation[dim] - geometry.padding[dim]
    first = max(0, -(offset // stride))
    last = max(first, min(count, (length - 1 - offset) // stride + 1))
    start = first * stride + offset
    return slice(first, last), slice(start, start + (last - first) * stride, stride)


def image_size(x_NCHW: Tensor) -> Size:
    """Return H, W."""
    return x_NCHW.shape[2], x_NCHW.shape[3]


def kernel_size(weight_OIhw: Tensor) -> Size:
    """Return h, w."""
    return weight_OIhw.shape[2], weight_OIhw.shape[3]


def like_image(x_NCHW: Tensor, channels: int, size: Size) -> Tensor:
    """Return an empty image with the memory format of another."""
    planes = x_NCHW.is_contiguous()
    layout = torch.contiguous_format if planes else torch.channels_last
    shape = (x_NCHW.shape[0], channels, *size)
    return torch.empty(shape, dtype=x_NCHW.dtype, device=x_NCHW.device, memory_format=layout)


def taps_last(weight_hwOI: Tensor) -> Tensor:
    """Return weights that were hwOI as OIhw, in memory as well."""
    return weight_hwOI.permute(2, 3, 0, 1).contiguous()


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
    stride, dilation = cast("list[Size]", [conv.stride, conv.dilation])
    return x_NIHW, Geometry(stride, padding, dilation, conv.groups)


def padding_of(conv: nn.Conv2d, dim: int) -> Size:
    """Return the padding before and after an image dim; "same" puts the odd one after."""
    if conv.padding == "valid":
        return 0, 0
    if conv.padding == "same":
        total = conv.dilation[dim] * (conv.kernel_size[dim] - 1)
        return total // 2, total - total // 2
    return int(conv.padding[dim]), int(conv.padding[dim])
