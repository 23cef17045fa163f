"""A 1x1 convolution as the matrix product that it is."""

# Shape suffixes: N batch, I in channels, H W image.

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution without bias for small images, whose result is laid out channels-last.

    A GPU's library of convolutions rearranges such operands by kernels of its own, which take as
    long as the product.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        factory: Device and dtype.
    """

    def __init__(self, in_channels: int, out_channels: int, **factory: Any) -> None:
        super().__init__(in_channels, out_channels, 1, bias=False, **factory)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        x_NHWI = input.movedim(-3, -1)
        return F.linear(x_NHWI, self.weight.flatten(1)).movedim(-1, -3)
