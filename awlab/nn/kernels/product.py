"""Kernel: the sum over the taps of gated products; output, and gradient of the input.

An implicit matrix product on channels-last images. Where the gate belongs to the result, it
multiplies what a tap adds to the accumulator; where it belongs to the source, it multiplies the
source's pixels on their way into the product. The gradient of the input is the same sum with
result and source exchanged, pixels sought the other way round (`TRANSPOSED`). One loop goes through
taps and channels, so that loads run ahead of the products across taps.
"""

# Shape suffixes: N samples, C channels, H W image, O I channels of the convolution, T taps. In the
# kernel: _p pixels of the result, _s channels of the source and _r of the result, of one group,
# _c channels of either, _k samples that a tile meets.

# pyright: reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from awlab.nn.geometry import Geometry, Size, image_size
from awlab.nn.kernels.tuning import choices, configs, numerics

MOST_PIXELS = 256
"""Of a tile: what is known of the size of images beyond does not matter."""


@triton.jit
def gate_of_pixels(
    gate,
    slot_p,
    channel_c,
    has_c,
    samples_left,
    gate_sample,
    gate_channel,
    PRECISION: tl.constexpr,
    SUM: tl.constexpr,
    ALIGNMENT: tl.constexpr,
    AT_LEAST: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Return the gate of a tap for each pixel of a tile, or for all; `slot_p` counts samples."""
    gate_c = gate + channel_c * gate_channel
    if ALIGNMENT % BLOCK_P == 0:  # all pixels are of one sample
        gate_pc = tl.load(gate_c, has_c, 0.0).to(SUM)[None, :]
    elif AT_LEAST >= BLOCK_P:  # of two at the most
        this_c = tl.load(gate_c, has_c, 0.0).to(SUM)
        next_c = tl.load(gate_c + gate_sample, has_c & (samples_left > 1), 0.0).to(SUM)
        gate_pc = tl.where(slot_p[:, None] == 0, this_c[None, :], next_c[None, :])
    else:  # a product with a matrix of ones and zeros puts each sample's gate where it belongs
        SLOTS: tl.constexpr = 16 if BLOCK_P // AT_LEAST + 2 <= 16 else 2 * BLOCK_P // AT_LEAST
        slot_k = tl.arange(0, SLOTS)
        mask_kc = (slot_k < samples_left)[:, None] & has_c[None, :]
        gate_kc = tl.load(gate_c[None, :] + slot_k[:, None] * gate_sample, mask_kc, 0.0)
        here_pk = (slot_p[:, None] == slot_k[None, :]).to(gate_kc.dtype)
        gate_pc = tl.dot(here_pk, gate_kc, input_precision=PRECISION, out_dtype=SUM)
    return gate_pc


@triton.autotune(
    configs(
        {"BLOCK_P": 128, "BLOCK_R": 64, "BLOCK_S": 64},
        {"BLOCK_P": 128, "BLOCK_R": 128, "BLOCK_S": 64},
        {"BLOCK_P": 128, "BLOCK_R": 128, "BLOCK_S": 32},
        {"BLOCK_P": 64, "BLOCK_R": 128, "BLOCK_S": 64},
        {"BLOCK_P": 256, "BLOCK_R": 64, "BLOCK_S": 64},
        {"BLOCK_P": 64, "BLOCK_R": 64, "BLOCK_S": 64},
        {"BLOCK_P": 128, "BLOCK_R": 64, "BLOCK_S": 32},
        {"BLOCK_P": 64, "BLOCK_R": 64, "BLOCK_S": 32},
        {"BLOCK_P": 64, "BLOCK_R": 32, "BLOCK_S": 32},
        warps=(4, 8, 8, 4, 8, 4, 8, 4, 4),
    ),
    key=[
        "pixels",
        "SOURCE_CHANNELS",
        "RESULT_CHANNELS",
        "GATES_RESULT",
        "TRANSPOSED",
        "STRIDE_H",
        "AT_LEAST",
    ],
    prune_configs_by={"early_config_prune": choices},
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
    weight_group,
    weight_tap,
    weight_source,
    weight_result,
    gate_sample,
    gate_tap,
    gate_channel,
    GROUPS: tl.constexpr,
    SOURCE_CHANNELS: tl.constexpr,
    RESULT_CHANNELS: tl.constexpr,
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
    ALIGNMENT: tl.constexpr,
    AT_LEAST: tl.constexpr,
    PRECISION: tl.constexpr,
    SUM: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """Fill a tile of BLOCK_P pixels and BLOCK_R channels."""
    TAPS: tl.constexpr = KERNEL_H * KERNEL_W
    BLOCKS: tl.constexpr = (RESULT_CHANNELS + BLOCK_R - 1) // BLOCK_R
    STEPS: tl.constexpr = (SOURCE_CHANNELS + BLOCK_S - 1) // BLOCK_S
    block = tl.program_id(0) % (GROUPS * BLOCKS)
    group = block // BLOCKS
    first = tl.program_id(0) // (GROUPS * BLOCKS) * BLOCK_P
    pixel_p = first + tl.arange(0, BLOCK_P)
    channel_r = block % BLOCKS * BLOCK_R + tl.arange(0, BLOCK_R)
    in_image_p = pixel_p < pixels
    in_result_r = channel_r < RESULT_CHANNELS
    column_p = pixel_p % result_width
    row_p = pixel_p // result_width % result_height
    # Offsets count from the first sample that the tile meets: few digits hold them.
    image_pixels = result_width * result_height
    first_sample = first // image_pixels
    slot_p = pixel_p // image_pixels - first_sample
    samples_left = (pixels - 1) // image_pixels + 1 - first_sample
    source_pixels = source_height * source_width
    source += (first_sample.to(tl.int64) * source_pixels * GROUPS + group) * SOURCE_CHANNELS
    gate += first_sample.to(tl.int64) * gate_sample + group * GATE_STEP * gate_channel
    weight += group * weight_group

    total_pr = tl.zeros((BLOCK_P, BLOCK_R), SUM)
    tap_pr = tl.zeros((BLOCK_P, BLOCK_R), SUM)
    for step in range(TAPS * STEPS):
        tap = step // STEPS
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
        at_p = (slot_p * source_pixels + at_h_p * source_width + at_w_p) * GROUPS * SOURCE_CHANNELS
        channel_s = step % STEPS * BLOCK_S + tl.arange(0, BLOCK_S)
        in_source_s = channel_s < SOURCE_CHANNELS
        mask_ps = seen_p[:, None] & in_source_s[None, :]
        source_ps = tl.load(source + at_p[:, None] + channel_s[None, :], mask_ps, 0.0)
        weight_sr = tl.load(
            weight
            + tap * weight_tap
            + channel_s[:, None] * weight_source
            + channel_r[None, :] * weight_result,
            in_source_s[:, None] & in_result_r[None, :],
            0.0,
        )
        if not GATES_RESULT:
            gate_ps = gate_of_pixels(
                gate + tap * gate_tap,
                slot_p,
                channel_s,
                in_source_s,
                samples_left,
                gate_sample,
                gate_channel,
                PRECISION,
                SUM,
                ALIGNMENT,
                AT_LEAST,
                BLOCK_P,
            )
            source_ps = (source_ps.to(SUM) * gate_ps).to(source_ps.dtype)
            total_pr = tl.dot(
                source_ps, weight_sr, total_pr, input_precision=PRECISION, out_dtype=SUM
            )
        else:
            tap_pr = tl.dot(source_ps, weight_sr, tap_pr, input_precision=PRECISION, out_dtype=SUM)
            if step % STEPS == STEPS - 1:
                total_pr += tap_pr * gate_of_pixels(
                    gate + tap * gate_tap,
                    slot_p,
                    channel_r,
                    in_result_r,
                    samples_left,
                    gate_sample,
                    gate_channel,
                    PRECISION,
                    SUM,
                    ALIGNMENT,
                    AT_LEAST,
                    BLOCK_P,
                )
                tap_pr = tl.zeros((BLOCK_P, BLOCK_R), SUM)

    result += (first.to(tl.int64) * GROUPS + group) * RESULT_CHANNELS
    result_p = tl.arange(0, BLOCK_P) * GROUPS * RESULT_CHANNELS
    mask_pr = in_image_p[:, None] & in_result_r[None, :]
    values_pr = total_pr.to(result.dtype.element_ty)
    tl.store(result + result_p[:, None] + channel_r[None, :], values_pr, mask_pr)


def gated_product(
    source_NCHW: Tensor,
    weight_OIT: Tensor,
    gate_NCT: Tensor,
    size: Size,
    geometry: Geometry,
    kernel: Size,
    *,
    gates_result: bool,
    transposed: bool,
) -> Tensor:
    """Sum gated products over the taps.

    Args:
        source_NCHW: Channels-last image.
        weight_OIT: Of the convolution, in any layout.
        gate_NCT: Of result or source; with the channels of one group when groups share it.
        size: H, W of the result.
        geometry: Of the convolution.
        kernel: Its h, w.
        gates_result: Whether the gate is the result's, else it is the source's.
        transposed: Whether the source is the output of the convolution, else it is the input.
    """
    groups, (outputs, inputs) = geometry.groups, weight_OIT.shape[:2]
    sides = {"outputs": (outputs // groups, 0), "inputs": (inputs, 1)}
    order = ("outputs", "inputs") if transposed else ("inputs", "outputs")
    (source_channels, source_dim), (result_channels, result_dim) = (sides[side] for side in order)
    result_NCHW = empty_image(source_NCHW, groups * result_channels, size)
    image_pixels = size[0] * size[1]
    pixels = len(source_NCHW) * image_pixels
    gated_channels = result_channels if gates_result else source_channels

    def grid(tiles: dict[str, Any]) -> tuple[int]:
        blocks = triton.cdiv(result_channels, tiles["BLOCK_R"])
        return (triton.cdiv(pixels, tiles["BLOCK_P"]) * groups * blocks,)

    with torch.cuda.device_of(source_NCHW):
        product_kernel[grid](
            source_NCHW,
            weight_OIT,
            gate_NCT,
            result_NCHW,
            pixels,
            *image_size(source_NCHW),
            *size,
            outputs // groups * weight_OIT.stride(0),
            weight_OIT.stride(2),
            weight_OIT.stride(source_dim),
            weight_OIT.stride(result_dim),
            gate_NCT.stride(0),
            gate_NCT.stride(2),
            gate_NCT.stride(1),
            groups,
            source_channels,
            result_channels,
            gated_channels if gate_NCT.shape[1] > gated_channels else 0,
            gates_result,
            transposed,
            *kernel,
            *geometry.stride,
            *geometry.padding,
            *geometry.dilation,
            min(MOST_PIXELS, image_pixels & -image_pixels),
            min(MOST_PIXELS, 1 << (image_pixels.bit_length() - 1)),
            **numerics(source_NCHW),
        )
    return result_NCHW


def empty_image(like_NCHW: Tensor, channels: int, size: Size) -> Tensor:
    """Return an empty channels-last image."""
    shape = (like_NCHW.shape[0], channels, *size)
    return torch.empty(
        shape, dtype=like_NCHW.dtype, device=like_NCHW.device, memory_format=torch.channels_last
    )
