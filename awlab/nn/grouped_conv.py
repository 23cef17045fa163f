"""The gated convolution as one convolution with a group per gate, for any gate and geometry."""

# Shape suffixes: N batch, B blocks of N / B consecutive samples that share a gate, O out channels,
# I in channels (of one group where a weight or gate has it), H W image, h w kernel.

import torch
import torch.nn.functional as F
from torch import Tensor

from awlab.nn.geometry import Geometry


def output(x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with gated weights."""
    blocks = gate_BOIhw.shape[0]
    weight = (weight_OIhw * gate_BOIhw).flatten(0, 1)
    x = blocks_to_channels(x_NIHW, blocks)
    y = F.conv2d(x, weight, None, *geometry[:3], groups=blocks * geometry.groups)
    return channels_to_blocks(y, blocks)


def gradients(
    grad_NOHW: Tensor, x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and gate."""
    blocks = gate_BOIhw.shape[0]
    weight = (weight_OIhw * gate_BOIhw).flatten(0, 1)
    x, grad = (blocks_to_channels(image, blocks) for image in (x_NIHW, grad_NOHW))
    grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
        grad,
        x,
        weight,
        bias_sizes=None,
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        transposed=False,
        output_padding=(0, 0),
        groups=blocks * geometry.groups,
        output_mask=(True, True, False),
    )
    grad_BOIhw = grad_weight.unflatten(0, (blocks, -1))
    return (
        channels_to_blocks(grad_x, blocks),
        (grad_BOIhw * gate_BOIhw).sum(0),
        (grad_BOIhw * weight_OIhw).sum_to_size(gate_BOIhw.shape),
    )


def blocks_to_channels(x_NCHW: Tensor, blocks: int) -> Tensor:
    """Lay the samples of a block along the batch and the blocks along the channels."""
    return x_NCHW.unflatten(0, (blocks, -1)).transpose(0, 1).flatten(1, 2)


def channels_to_blocks(x_NCHW: Tensor, blocks: int) -> Tensor:
    """Undo `blocks_to_channels`."""
    return x_NCHW.unflatten(1, (blocks, -1)).transpose(0, 1).flatten(0, 1)
