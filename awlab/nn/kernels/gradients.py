"""Kernel: the gradients of weight and gate, in one pass.

The product of gradient and input over the pixels of one sample is the gradient of its gated
weights. A tile of it lives in registers only: times the gate it is added to the gradient of the
weight, times the weight and summed over the channels that share it is that of the gate. What tiles
and slices of the batch leave is added in a fixed order afterwards, so that no run differs.
"""

# Shape suffixes: N samples, C channels, H W image, g groups, h w kernel, O I channels of one group,
# B blocks of channels, K slices of the batch. In the kernel: _p pixels of the output, _o _i
# channels of a tile.

# pyright: reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from awlab.nn.geometry import Geometry, image_size
from awlab.nn.kernels.tuning import (
    INTERPRETED,
    configs,
    first_if_deterministic,
    numerics,
    sum_dtype,
)

TILE = {"BLOCK_O": 16, "BLOCK_I": 16} if INTERPRETED else {"BLOCK_O": 64, "BLOCK_I": 64}
"""Channels of a tile: not tuned, since the unfinished sums are allocated before."""

BUSY = 1024
"""Programs that keep a GPU busy: the batch is cut into slices until there are about as many."""


@triton.autotune(
    configs(
        {"BLOCK_P": 32},
        {"BLOCK_P": 64},
        {"BLOCK_P": 16},
        {"BLOCK_P": 64},
        {"BLOCK_P": 128},
        warps=(4, 4, 4, 8, 8),
    ),
    key=["samples", "height", "OUT_CHANNELS", "IN_CHANNELS", "GATES_OUTPUT", "STRIDE_H"],
    prune_configs_by={"early_config_prune": first_if_deterministic},
    cache_results=True,
)
@triton.jit
def gradients_kernel(
    grad,
    x,
    weight,
    gate,
    grad_weight,
    grad_gate,
    samples,
    samples_per_slice,
    in_height,
    in_width,
    height,
    width,
    GROUPS: tl.constexpr,
    OUT_CHANNELS: tl.constexpr,
    IN_CHANNELS: tl.constexpr,
    GATE_CHANNELS: tl.constexpr,
    GATE_STEP: tl.constexpr,
    GATES_OUTPUT: tl.constexpr,
    KERNEL_H: tl.constexpr,
    KERNEL_W: tl.constexpr,
    STRIDE_H: tl.constexpr,
    STRIDE_W: tl.constexpr,
    PADDING_H: tl.constexpr,
    PADDING_W: tl.constexpr,
    DILATION_H: tl.constexpr,
    DILATION_W: tl.constexpr,
    PRECISION: tl.constexpr,
    SUM: tl.constexpr,
    BLOCK_O: tl.constexpr,
    BLOCK_I: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Go through a slice of the batch for one tap and a tile of BLOCK_O x BLOCK_I channels."""
    TAPS: tl.constexpr = KERNEL_H * KERNEL_W
    BLOCKS_O: tl.constexpr = (OUT_CHANNELS + BLOCK_O - 1) // BLOCK_O
    BLOCKS_I: tl.constexpr = (IN_CHANNELS + BLOCK_I - 1) // BLOCK_I
    tap = tl.program_id(1)
    slice_ = tl.program_id(2)
    block_o = tl.program_id(0) // BLOCKS_I % BLOCKS_O
    block_i = tl.program_id(0) % BLOCKS_I
    group = tl.program_id(0) // (BLOCKS_I * BLOCKS_O)
    channel_o = block_o * BLOCK_O + tl.arange(0, BLOCK_O)
    channel_i = block_i * BLOCK_I + tl.arange(0, BLOCK_I)
    has_o = channel_o < OUT_CHANNELS
    has_i = channel_i < IN_CHANNELS
    mask_oi = has_o[:, None] & has_i[None, :]
    weight_o = ((tap * GROUPS + group) * OUT_CHANNELS + channel_o) * IN_CHANNELS
    weight_oi = tl.load(weight + weight_o[:, None] + channel_i[None, :], mask_oi, 0.0).to(SUM)

    total_oi = tl.zeros((BLOCK_O, BLOCK_I), SUM)
    first = slice_ * samples_per_slice
    for sample in range(first, tl.minimum(first + samples_per_slice, samples)):
        product_oi = tl.zeros((BLOCK_O, BLOCK_I), SUM)
        for start in range(0, height * width, BLOCK_P):
            pixel_p = start + tl.arange(0, BLOCK_P)
            in_image_p = pixel_p < height * width
            at_h_p = pixel_p // width * STRIDE_H + tap // KERNEL_W * DILATION_H - PADDING_H
            at_w_p = pixel_p % width * STRIDE_W + tap % KERNEL_W * DILATION_W - PADDING_W
            seen_p = in_image_p & (at_h_p >= 0) & (at_w_p >= 0)
            seen_p &= (at_h_p < in_height) & (at_w_p < in_width)
            out_p = tl.cast(sample, tl.int64) * height * width + pixel_p
            in_p = (tl.cast(sample, tl.int64) * in_height + at_h_p) * in_width + at_w_p
            out_p = grad + (out_p * GROUPS + group) * OUT_CHANNELS
            in_p = x + (in_p * GROUPS + group) * IN_CHANNELS
            grad_op = tl.load(
                out_p[None, :] + channel_o[:, None], seen_p[None, :] & has_o[:, None], 0.0
            )
            x_pi = tl.load(
                in_p[:, None] + channel_i[None, :], seen_p[:, None] & has_i[None, :], 0.0
            )
            product_oi = tl.dot(grad_op, x_pi, product_oi, input_precision=PRECISION, out_dtype=SUM)
        gate_at = (tl.cast(sample, tl.int64) * TAPS + tap) * GATE_CHANNELS + group * GATE_STEP
        if GATES_OUTPUT:
            gate_o = tl.load(gate + gate_at + channel_o, has_o, 0.0).to(SUM)
            total_oi += product_oi * gate_o[:, None]
            plane = tl.cast(block_i, tl.int64) * samples * TAPS * GATE_CHANNELS
            sums = tl.sum(product_oi * weight_oi, 1)
            tl.store(grad_gate + plane + gate_at + channel_o, sums, has_o)
        else:
            gate_i = tl.load(gate + gate_at + channel_i, has_i, 0.0).to(SUM)
            total_oi += product_oi * gate_i[None, :]
            plane = (tl.cast(group, tl.int64) * BLOCKS_O + block_o) * samples * TAPS * GATE_CHANNELS
            sums = tl.sum(product_oi * weight_oi, 0)
            tl.store(grad_gate + plane + gate_at + channel_i, sums, has_i)
    total_at = tl.cast(slice_, tl.int64) * TAPS * GROUPS * OUT_CHANNELS * IN_CHANNELS
    tl.store(grad_weight + total_at + weight_o[:, None] + channel_i[None, :], total_oi, mask_oi)


def weight_and_gate_gradients(
    grad_NCHW: Tensor,
    x_NCHW: Tensor,
    weight_hwgOI: Tensor,
    gate_NhwC: Tensor,
    geometry: Geometry,
    *,
    gates_output: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of weight and gate, in the shapes of these.

    Args:
        grad_NCHW: Gradient of the output, channels-last.
        x_NCHW: Input, channels-last.
        weight_hwgOI: Per tap and group.
        gate_NhwC: Of outputs or inputs; with the channels of one group when groups share it.
        geometry: Of the convolution.
        gates_output: Whether the gate is the output's, else it is the input's.
    """
    samples, kernel = len(x_NCHW), tuple(weight_hwgOI.shape[:2])
    groups, outputs, inputs = weight_hwgOI.shape[2:]
    blocks_o, blocks_i = triton.cdiv(outputs, TILE["BLOCK_O"]), triton.cdiv(inputs, TILE["BLOCK_I"])
    programs = groups * blocks_o * blocks_i
    per_slice = triton.cdiv(samples * programs * kernel[0] * kernel[1], BUSY)
    per_slice = max(1, min(samples, per_slice))
    slices = triton.cdiv(samples, per_slice)
    planes = blocks_i if gates_output else groups * blocks_o
    unfinished: dict[str, Any] = {"dtype": sum_dtype(x_NCHW), "device": x_NCHW.device}
    weight_sums_KhwgOI = torch.empty((slices, *weight_hwgOI.shape), **unfinished)
    # A gate that groups share is written by each of them to planes of its own.
    gate_sums_BNhwC = torch.empty((planes, *gate_NhwC.shape), **unfinished)
    gated_channels = outputs if gates_output else inputs
    with torch.cuda.device_of(x_NCHW):
        gradients_kernel[programs, kernel[0] * kernel[1], slices](
            grad_NCHW,
            x_NCHW,
            weight_hwgOI.contiguous(),
            gate_NhwC.contiguous(),
            weight_sums_KhwgOI,
            gate_sums_BNhwC,
            samples,
            per_slice,
            *image_size(x_NCHW),
            *image_size(grad_NCHW),
            groups,
            outputs,
            inputs,
            gate_NhwC.shape[3],
            gated_channels if gate_NhwC.shape[3] > gated_channels else 0,
            gates_output,
            *kernel,
            *geometry.stride,
            *geometry.padding,
            *geometry.dilation,
            **numerics(x_NCHW),
            **TILE,
        )
    return (
        weight_sums_KhwgOI.sum(0).to(weight_hwgOI.dtype),
        gate_sums_BNhwC.sum(0).to(gate_NhwC.dtype),
    )
