"""Kernel: the gradients of weight and gate, in one pass.

The product of gradient and input over the pixels of one sample is the gradient of its gated
weights. A tile of it lives in registers only: times the gate it is added to the gradient of the
weight, times the weight and summed over the channels that share it is that of the gate. What tiles
and slices of the batch leave is added in a fixed order afterwards, so that no run differs.
"""

# Shape suffixes: N samples, C channels, H W image, O I channels of the convolution, T taps, B
# blocks of channels, K slices of the batch. In the kernel: _p pixels of the output, _o _i channels
# of a tile, of one group.

# pyright: reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from awlab.nn.geometry import Geometry, Size, image_size
from awlab.nn.kernels.tuning import (
    INTERPRETED,
    choices,
    configs,
    numerics,
    sum_dtype,
)

BUSY = 400
"""Programs that keep a GPU busy: the batch is cut into slices until there are about as many."""


@triton.autotune(
    configs(
        {"BLOCK_P": 64},
        {"BLOCK_P": 32},
        {"BLOCK_P": 16},
        {"BLOCK_P": 64},
        {"BLOCK_P": 32},
        {"BLOCK_P": 128},
        warps=(4, 4, 4, 8, 8, 8),
    ),
    key=["samples", "height", "OUT_CHANNELS", "IN_CHANNELS", "GATES_OUTPUT", "STRIDE_H"],
    prune_configs_by={"early_config_prune": choices},
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
    weight_out,
    weight_in,
    weight_tap,
    gate_sample,
    gate_tap,
    gate_channel,
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
    tap = tl.program_id(0) % TAPS
    block = tl.program_id(0) // TAPS
    slice_ = tl.program_id(1)
    block_o = block // BLOCKS_I % BLOCKS_O
    block_i = block % BLOCKS_I
    group = block // (BLOCKS_I * BLOCKS_O)
    channel_o = block_o * BLOCK_O + tl.arange(0, BLOCK_O)
    channel_i = block_i * BLOCK_I + tl.arange(0, BLOCK_I)
    has_o = channel_o < OUT_CHANNELS
    has_i = channel_i < IN_CHANNELS
    mask_oi = has_o[:, None] & has_i[None, :]
    out_o = group * OUT_CHANNELS + channel_o
    weight_oi = tl.load(
        weight + tap * weight_tap + out_o[:, None] * weight_out + channel_i[None, :] * weight_in,
        mask_oi,
        0.0,
    )

    pixels = height * width
    steps = tl.cdiv(pixels, BLOCK_P)
    first = slice_ * samples_per_slice
    count = tl.minimum(samples_per_slice, samples - first)
    total_oi = tl.zeros((BLOCK_O, BLOCK_I), SUM)
    product_oi = tl.zeros((BLOCK_O, BLOCK_I), SUM)
    for step in range(count * steps):
        sample = (first + step // steps).to(tl.int64)
        pixel_p = step % steps * BLOCK_P + tl.arange(0, BLOCK_P)
        at_h_p = pixel_p // width * STRIDE_H + tap // KERNEL_W * DILATION_H - PADDING_H
        at_w_p = pixel_p % width * STRIDE_W + tap % KERNEL_W * DILATION_W - PADDING_W
        seen_p = (pixel_p < pixels) & (at_h_p >= 0) & (at_w_p >= 0)
        seen_p &= (at_h_p < in_height) & (at_w_p < in_width)
        grad_n = grad + (sample * pixels * GROUPS + group) * OUT_CHANNELS
        x_n = x + (sample * in_height * in_width * GROUPS + group) * IN_CHANNELS
        out_p = pixel_p * GROUPS * OUT_CHANNELS
        in_p = (at_h_p * in_width + at_w_p) * GROUPS * IN_CHANNELS
        mask_po = seen_p[:, None] & has_o[None, :]
        grad_po = tl.load(grad_n + out_p[:, None] + channel_o[None, :], mask_po, 0.0)
        mask_pi = seen_p[:, None] & has_i[None, :]
        x_pi = tl.load(x_n + in_p[:, None] + channel_i[None, :], mask_pi, 0.0)
        product_oi = tl.dot(
            tl.trans(grad_po), x_pi, product_oi, input_precision=PRECISION, out_dtype=SUM
        )
        if step % steps == steps - 1:
            gate_at = gate + sample * gate_sample + tap * gate_tap
            grad_gate_at = (sample * TAPS + tap) * GATE_CHANNELS + group * GATE_STEP
            gated_oi = product_oi * weight_oi.to(SUM)
            if GATES_OUTPUT:
                gate_o = gate_at + (group * GATE_STEP + channel_o) * gate_channel
                total_oi += product_oi * tl.load(gate_o, has_o, 0.0).to(SUM)[:, None]
                plane = tl.cast(block_i, tl.int64) * samples * TAPS * GATE_CHANNELS
                sums_o = grad_gate + plane + grad_gate_at + channel_o
                tl.store(sums_o, tl.sum(gated_oi, 1), has_o)
            else:
                gate_i = gate_at + (group * GATE_STEP + channel_i) * gate_channel
                total_oi += product_oi * tl.load(gate_i, has_i, 0.0).to(SUM)[None, :]
                plane = tl.cast(group * BLOCKS_O + block_o, tl.int64)
                plane *= samples * TAPS * GATE_CHANNELS
                sums_i = grad_gate + plane + grad_gate_at + channel_i
                tl.store(sums_i, tl.sum(gated_oi, 0), has_i)
            product_oi = tl.zeros((BLOCK_O, BLOCK_I), SUM)
    total_at = tl.cast(slice_, tl.int64) * GROUPS * OUT_CHANNELS * TAPS * IN_CHANNELS
    total_o = (out_o * TAPS + tap) * IN_CHANNELS
    tl.store(grad_weight + total_at + total_o[:, None] + channel_i[None, :], total_oi, mask_oi)


@triton.jit
def add_kernel(parts, total, count, length, BLOCK: tl.constexpr):
    """Add parts in their order."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    is_there = at < length
    sums = tl.load(parts + at, is_there, 0.0)
    for part in range(1, count):
        sums += tl.load(parts + tl.cast(part, tl.int64) * length + at, is_there, 0.0)
    tl.store(total + at, sums.to(total.dtype.element_ty), is_there)


def add(parts_K: Tensor, dtype: torch.dtype) -> Tensor:
    """Add along the first dim, in a fixed order, and cast."""
    total = torch.empty(parts_K.shape[1:], dtype=dtype, device=parts_K.device)
    block = 16 if INTERPRETED else 512
    grid = (triton.cdiv(total.numel(), block),)
    with torch.cuda.device_of(parts_K):
        add_kernel[grid](parts_K, total, len(parts_K), total.numel(), block)
    return total


def weight_and_gate_gradients(
    grad_NCHW: Tensor,
    x_NCHW: Tensor,
    weight_OIT: Tensor,
    gate_NCT: Tensor,
    geometry: Geometry,
    kernel: Size,
    *,
    gates_output: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of weight (O, T, I) and gate (N, T, C).

    Args:
        grad_NCHW: Gradient of the output, channels-last.
        x_NCHW: Input, channels-last.
        weight_OIT: Of the convolution, in any layout.
        gate_NCT: Of outputs or inputs; with the channels of one group when groups share it.
        geometry: Of the convolution.
        kernel: Its h, w.
        gates_output: Whether the gate is the output's, else it is the input's.
    """
    samples, groups, taps = len(x_NCHW), geometry.groups, kernel[0] * kernel[1]
    outputs, inputs = weight_OIT.shape[0] // groups, weight_OIT.shape[1]
    tile = {"BLOCK_O": side(outputs, x_NCHW), "BLOCK_I": side(inputs, x_NCHW)}
    blocks_o, blocks_i = triton.cdiv(outputs, tile["BLOCK_O"]), triton.cdiv(inputs, tile["BLOCK_I"])
    programs = groups * blocks_o * blocks_i * taps
    per_slice = triton.cdiv(samples, max(1, min(samples, round(BUSY / programs))))
    slices = triton.cdiv(samples, per_slice)
    planes = blocks_i if gates_output else groups * blocks_o
    unfinished: dict[str, Any] = {"dtype": sum_dtype(x_NCHW), "device": x_NCHW.device}
    weight_sums_KOTI = torch.empty((slices, len(weight_OIT), taps, inputs), **unfinished)
    # A gate that groups share is written by each of them to planes of its own.
    gate_sums_BNTC = torch.empty((planes, samples, taps, gate_NCT.shape[1]), **unfinished)
    gated_channels = outputs if gates_output else inputs
    with torch.cuda.device_of(x_NCHW):
        gradients_kernel[programs, slices](
            grad_NCHW,
            x_NCHW,
            weight_OIT,
            gate_NCT,
            weight_sums_KOTI,
            gate_sums_BNTC,
            samples,
            per_slice,
            *image_size(x_NCHW),
            *image_size(grad_NCHW),
            *weight_OIT.stride(),
            gate_NCT.stride(0),
            gate_NCT.stride(2),
            gate_NCT.stride(1),
            groups,
            outputs,
            inputs,
            gate_NCT.shape[1],
            gated_channels if gate_NCT.shape[1] > gated_channels else 0,
            gates_output,
            *kernel,
            *geometry.stride,
            *geometry.padding,
            *geometry.dilation,
            **numerics(x_NCHW),
            **tile,
        )
    return add(weight_sums_KOTI, weight_OIT.dtype), add(gate_sums_BNTC, gate_NCT.dtype)


def side(channels: int, x: Tensor) -> int:
    """Return how many channels a tile has: not tuned, since its sums are allocated before."""
    if INTERPRETED:
        return 16
    return 128 if channels > 64 and x.element_size() == 2 else 64
