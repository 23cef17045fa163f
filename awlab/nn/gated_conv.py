"""F3: the convolution with gated weights, in the form that fits what the gate shares."""

# Shape suffixes: N batch, B blocks of samples that share a gate, O out channels,
# I in channels (of one group where a weight or gate has it), H W image, h w kernel.

import torch.nn.functional as F
from torch import Tensor

from awlab.nn.padding import Geometry


def gated_conv2d(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> Tensor:
    """Convolve each sample with its gated weights, AK = gate * K (Eqs. 4 and 5).

    Args:
        x_NIHW: Images; block b of N / B consecutive ones uses gate b.
        weight_OIhw: K.
        gate_BOIhw: Broadcasts against (B, *K.shape); dims of size 1 are shared.
        geometry: Of the convolution.
    """
    if gate_BOIhw.shape[0] == 1:
        return F.conv2d(x_NIHW, weight_OIhw * gate_BOIhw[0], None, *geometry)
    if gate_BOIhw.shape[3:] == (1, 1):
        if gate_BOIhw.shape[2] == 1:
            return F.conv2d(x_NIHW, weight_OIhw, None, *geometry) * per_sample(
                gate_BOIhw[:, :, 0], x_NIHW
            )
        if gate_BOIhw.shape[1] == 1:
            gate_NIhw = per_sample(gate_BOIhw[:, 0], x_NIHW).repeat(1, geometry.groups, 1, 1)
            return F.conv2d(x_NIHW * gate_NIhw, weight_OIhw, None, *geometry)
    return block_conv2d(x_NIHW, weight_OIhw * gate_BOIhw, geometry)


def per_sample(gate_B: Tensor, x_N: Tensor) -> Tensor:
    """Repeat the gate of each block for its samples."""
    return gate_B.repeat_interleave(x_N.shape[0] // gate_B.shape[0], 0)


def block_conv2d(x_NIHW: Tensor, weight_BOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve block b of consecutive samples with weight b: one convolution of B groups.

    Samples of a block lie along the batch, blocks along the channels.
    """
    blocks = weight_BOIhw.shape[0]
    x = x_NIHW.unflatten(0, (blocks, -1)).transpose(0, 1).flatten(1, 2)
    y = F.conv2d(
        x, weight_BOIhw.flatten(0, 1), None, *geometry[:3], groups=blocks * geometry.groups
    )
    return y.unflatten(1, (blocks, -1)).transpose(0, 1).flatten(0, 1)
