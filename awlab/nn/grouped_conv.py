"""The gated convolution as one convolution with a group per gate, for any gate and geometry.

A CPU convolves a few samples at a time: the gated weights of a whole batch would leave its caches,
and memory of that size is asked for anew, page by page, in every step. Weights of 1x1 kernels
multiply the pixels as matrices, which libraries do faster.
"""

# Shape suffixes: N batch, B blocks of N / B consecutive samples that share a gate, O out channels,
# I in channels (of one group where a weight or gate has it), C of either, H W image, P = H W, h w
# kernel.

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from awlab.nn.geometry import Geometry, image_size, kernel_size, like_image

ELEMENTS_PER_CHUNK = 2**20
"""Of gated weights, and of the larger of the two images."""

Chunk = tuple[slice, slice]


def output(x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with gated weights."""
    size = geometry.output_size(image_size(x_NIHW), kernel_size(weight_OIhw))
    y_NOHW = like_image(x_NIHW, len(weight_OIhw), size)
    for samples, blocks in chunks(x_NIHW, y_NOHW, weight_OIhw, gate_BOIhw):
        y_NOHW[samples] = convolve(x_NIHW[samples], weight_OIhw, gate_BOIhw[blocks], geometry)
    return y_NOHW


def gradients(
    grad_NOHW: Tensor, x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and gate."""
    grad_NIHW, grad_BOIhw = torch.empty_like(x_NIHW), torch.empty_like(gate_BOIhw)
    grad_OIhw = torch.zeros_like(weight_OIhw)
    for samples, blocks in chunks(x_NIHW, grad_NOHW, weight_OIhw, gate_BOIhw):
        gate = gate_BOIhw[blocks]
        grad_NIHW[samples], gated = derive(
            grad_NOHW[samples], x_NIHW[samples], weight_OIhw, gate, geometry
        )
        grad_OIhw += (gated * gate).sum(0)
        grad_BOIhw[blocks] = (gated * weight_OIhw).sum_to_size(gate.shape)
    return grad_NIHW, grad_OIhw, grad_BOIhw


def chunks(
    x_NIHW: Tensor, y_NOHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor
) -> Iterator[Chunk]:
    """Split samples, and their gates, for the caches of a CPU; elsewhere take them at once."""
    blocks = len(gate_BOIhw)
    length = len(x_NIHW) // blocks
    step = blocks
    if x_NIHW.device.type == "cpu":
        largest = max(weight_OIhw.numel(), x_NIHW[:length].numel(), y_NOHW[:length].numel())
        step = max(torch.get_num_threads(), ELEMENTS_PER_CHUNK // largest)
    for start in range(0, blocks, step):
        stop = min(blocks, start + step)
        yield slice(start * length, stop * length), slice(start, stop)


def convolve(x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve a chunk."""
    blocks = gate_BOIhw.shape[0]
    if multiplies_pixels(x_NIHW, weight_OIhw, gate_BOIhw, geometry):
        gated_NOI = (weight_OIhw * gate_BOIhw).flatten(2)
        return torch.bmm(gated_NOI, x_NIHW.flatten(2)).unflatten(2, image_size(x_NIHW))
    weight = (weight_OIhw * gate_BOIhw).flatten(0, 1)
    x = blocks_to_channels(x_NIHW, blocks)
    y = F.conv2d(x, weight, None, *geometry[:3], groups=blocks * geometry.groups)
    return channels_to_blocks(y, blocks)


def derive(
    grad_NOHW: Tensor, x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor]:
    """Return the gradients of a chunk's input and of its gated weights."""
    blocks = gate_BOIhw.shape[0]
    if multiplies_pixels(x_NIHW, weight_OIhw, gate_BOIhw, geometry):
        gated_NIO = (weight_OIhw * gate_BOIhw).flatten(2).transpose(1, 2)
        grad_NOP, x_NPI = grad_NOHW.flatten(2), x_NIHW.flatten(2).transpose(1, 2)
        grad_NIHW = torch.bmm(gated_NIO, grad_NOP).unflatten(2, image_size(x_NIHW))
        return grad_NIHW, torch.bmm(grad_NOP, x_NPI)[..., None, None]
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
    return channels_to_blocks(grad_x, blocks), grad_weight.unflatten(0, (blocks, -1))


def multiplies_pixels(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> bool:
    """Return whether each sample's convolution is a product of two matrices."""
    alone = len(gate_BOIhw) == len(x_NIHW)
    return alone and kernel_size(weight_OIhw) == (1, 1) and geometry == Geometry()


def blocks_to_channels(x_NCHW: Tensor, blocks: int) -> Tensor:
    """Lay the samples of a block along the batch and the blocks along the channels."""
    return x_NCHW.unflatten(0, (blocks, -1)).transpose(0, 1).flatten(1, 2)


def channels_to_blocks(x_NCHW: Tensor, blocks: int) -> Tensor:
    """Undo `blocks_to_channels`."""
    return x_NCHW.unflatten(1, (blocks, -1)).transpose(0, 1).flatten(0, 1)
