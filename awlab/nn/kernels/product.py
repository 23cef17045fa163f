"""Kernel: the sum over the taps of gated products; output, and gradient of the input.

An implicit matrix product on channels-last images. Where the gate belongs to the result, it
multiplies what a tap adds to the accumulator; where it belongs to the source, it multiplies the
source's pixels on their way into the product. The gradient of the input is the same sum with
result and source exchanged, pixels sought the other way round (`TRANSPOSED`).
"""

# Shape suffixes: N samples, C channels, H W image, g groups, h w kernel, S channels of the source
# and R of the result in one group. In the kernel: _p pixels of the result, _s and _r channels.

# pyright: reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from awlab.nn.geometry import Geometry, Size, image_size
from awlab.nn.kernels.tuning import configs, first_if_deterministic, numerics


@triton.autotune(
    configs(
        {"BLOCK_P": 128, "BLOCK_R": 64, "BLOCK_S": 32},
        {"BLOCK_P": 128, "BLOCK_R": 128, "BLOCK_S": 32},
        {"BLOCK_P": 128, "BLOCK_R": 128, "BLOCK_S": 64},
        {"BLOCK_P": 128, "BLOCK_R": 64, "BLOCK_S": 64},
        {"BLOCK_P": 256, "BLOCK_R": 64, "BLOCK_S": 32},
        {"BLOCK_P": 64, "BLOCK_R": 64, "BLOCK_S": 64},
        {"BLOCK_P": 64, "BLOCK_R": 32, "BLOCK_S": 32},
        warps=(4, 8, 8, 4, 8, 4, 4),
    ),
    key=["pixels", "SOURCE_CHANNELS", "RESULT_CHANNELS", "GATES_RESULT", "TRANSPOSED", "STRIDE_H"],
    prune_configs_by={"early_config_prune": first_if_deterministic},
    cache_results=True,
)
@triton.jit
def product_kernel(
    source,
    weight,
    gate,
    result,
    pixels,
    source_height,
    source_width,
    result_height,
    result_width,
    GROUPS: tl.constexpr,
    SOURCE_CHANNELS: tl.constexpr,
    RESULT_CHANNELS: tl.constexpr,
    GATE_CHANNELS: tl.constexpr,
    GATE_STEP: tl.constexpr,
    GATES_RESULT: tl.constexpr,
    TRANSPOSED: tl.constexpr,
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
    BLOCK_P: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """Fill a tile of BLOCK_P pixels and BLOCK_R channels."""
    TAPS: tl.constexpr = KERNEL_H * KERNEL_W
    BLOCKS: tl.constexpr = (RESULT_CHANNELS + BLOCK_R - 1) // BLOCK_R
    group = tl.program_id(1) // BLOCKS
    pixel_p = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    channel_r = tl.program_id(1) % BLOCKS * BLOCK_R + tl.arange(0, BLOCK_R)
    in_image_p = pixel_p < pixels
    in_result_r = channel_r < RESULT_CHANNELS
    column_p = pixel_p % result_width
    row_p = pixel_p // result_width % result_height
    sample_p = pixel_p // (result_width * result_height)

    total_pr = tl.zeros((BLOCK_P, BLOCK_R), SUM)
    for tap in range(TAPS):
        if TRANSPOSED:
            offset_h_p = row_p + PADDING_H - tap // KERNEL_W * DILATION_H
            offset_w_p = column_p + PADDING_W - tap % KERNEL_W * DILATION_W
            # Quotients of negative numbers are rounded differently here and there: not used.
            seen_p = (offset_h_p >= 0) & (offset_w_p >= 0)
            seen_p &= (offset_h_p % STRIDE_H == 0) & (offset_w_p % STRIDE_W == 0)
            at_h_p, at_w_p = offset_h_p // STRIDE_H, offset_w_p // STRIDE_W
        else:
            at_h_p = row_p * STRIDE_H + tap // KERNEL_W * DILATION_H - PADDING_H
            at_w_p = column_p * STRIDE_W + tap % KERNEL_W * DILATION_W - PADDING_W
            seen_p = (at_h_p >= 0) & (at_w_p >= 0)
        seen_p &= in_image_p & (at_h_p < source_height) & (at_w_p < source_width)
        at_p = (sample_p * source_height + at_h_p) * source_width + at_w_p
        gate_p = gate + (sample_p * TAPS + tap) * GATE_CHANNELS + group * GATE_STEP
        tap_pr = tl.zeros((BLOCK_P, BLOCK_R), SUM)
        for start in range(0, SOURCE_CHANNELS, BLOCK_S):
            channel_s = start + tl.arange(0, BLOCK_S)
            in_source_s = channel_s < SOURCE_CHANNELS
            mask_ps = seen_p[:, None] & in_source_s[None, :]
            source_p = source + (at_p * GROUPS + group) * SOURCE_CHANNELS
            source_ps = tl.load(source_p[:, None] + channel_s[None, :], mask_ps, 0.0)
            if not GATES_RESULT:
                gate_ps = tl.load(gate_p[:, None] + channel_s[None, :], mask_ps, 0.0)
                source_ps = (source_ps.to(SUM) * gate_ps.to(SUM)).to(source_ps.dtype)
            weight_s = weight + ((tap * GROUPS + group) * SOURCE_CHANNELS + channel_s) * (
                RESULT_CHANNELS
            )
            mask_sr = in_source_s[:, None] & in_result_r[None, :]
            weight_sr = tl.load(weight_s[:, None] + channel_r[None, :], mask_sr, 0.0)
            tap_pr = tl.dot(source_ps, weight_sr, tap_pr, input_precision=PRECISION, out_dtype=SUM)
        if GATES_RESULT:
            mask_pr = in_image_p[:, None] & in_result_r[None, :]
            tap_pr *= tl.load(gate_p[:, None] + channel_r[None, :], mask_pr, 0.0).to(SUM)
        total_pr += tap_pr

    result_p = result + (pixel_p * GROUPS + group) * RESULT_CHANNELS
    mask_pr = in_image_p[:, None] & in_result_r[None, :]
    tl.store(result_p[:, None] + channel_r[None, :], total_pr.to(result.dtype.element_ty), mask_pr)


def gated_product(
    source_NCHW: Tensor,
    weight_hwgSR: Tensor,
    gate_NhwC: Tensor,
    size: Size,
    geometry: Geometry,
    *,
    gates_result: bool,
    transposed: bool,
) -> Tensor:
    """Sum gated products over the taps.

    Args:
        source_NCHW: Channels-last image.
        weight_hwgSR: From channels of the source to channels of the result, per tap and group.
        gate_NhwC: Of result or source; with the channels of one group when groups share it.
        size: H, W of the result.
        geometry: Of the convolution.
        gates_result: Whether the gate is the result's, else it is the source's.
        transposed: Whether the source is the output of the convolution, else it is the input.
    """
    samples, kernel = len(source_NCHW), tuple(weight_hwgSR.shape[:2])
    groups, source_channels, result_channels = weight_hwgSR.shape[2:]
    result_NCHW = empty_image(source_NCHW, groups * result_channels, size)
    pixels = samples * size[0] * size[1]
    gated_channels = result_channels if gates_result else source_channels

    def grid(tiles: dict[str, Any]) -> tuple[int, int]:
        blocks = triton.cdiv(result_channels, tiles["BLOCK_R"])
        return triton.cdiv(pixels, tiles["BLOCK_P"]), groups * blocks

    with torch.cuda.device_of(source_NCHW):
        product_kernel[grid](
            source_NCHW,
            weight_hwgSR.contiguous(),
            gate_NhwC.contiguous(),
            result_NCHW,
            pixels,
            *image_size(source_NCHW),
            *size,
            groups,
            source_channels,
            result_channels,
            gate_NhwC.shape[3],
            gated_channels if gate_NhwC.shape[3] > gated_channels else 0,
            gates_result,
            transposed,
            *kernel,
            *geometry.stride,
            *geometry.padding,
            *geometry.dilation,
            **numerics(source_NCHW),
        )
    return result_NCHW


def empty_image(like_NCHW: Tensor, channels: int, size: Size) -> Tensor:
    """Return an empty channels-last image."""
    shape = (like_NCHW.shape[0], channels, *size)
    return torch.empty(
        shape, dtype=like_NCHW.dtype, device=like_NCHW.device, memory_format=torch.channels_last
    )
