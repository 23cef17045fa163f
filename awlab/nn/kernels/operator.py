"""The kernels as one operator of torch: for autograd, torch.compile, and counters of operations."""

# Shape suffixes: N samples, O out channels, I in channels, C those of the gate's side, H W image,
# h w kernel, T taps.

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from awlab.nn.geometry import Geometry, geometry_of, image_size, kernel_size
from awlab.nn.kernels.gradients import weight_and_gate_gradients
from awlab.nn.kernels.product import empty_image, gated_product


@torch.library.custom_op("awlab::gated_conv2d", mutates_args=())
def gated_conv2d(
    x: Tensor,
    weight: Tensor,
    gate: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """Convolve with weights that are gated along the outputs or along the inputs.

    Args:
        x: (N, I, H, W).
        weight: (O, I / groups, h, w).
        gate: (N, O, 1, h, w) or (N, 1, I / groups, h, w).
        stride: As the following ones, of a convolution.
        padding: Zeros on both sides.
        dilation: Of the kernel.
        groups: Of the channels.
    """
    x_NIHW, weight_OIT, gate_NCT, geometry, gates_output = operands(
        x, weight, gate, stride, padding, dilation, groups
    )
    kernel = kernel_size(weight)
    return gated_product(
        x_NIHW,
        weight_OIT,
        gate_NCT,
        geometry.output_size(image_size(x), kernel),
        geometry,
        kernel,
        gates_result=gates_output,
        transposed=False,
    )


@torch.library.custom_op("awlab::gated_conv2d_backward", mutates_args=())
def gated_conv2d_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    gate: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and gate."""
    x_NIHW, weight_OIT, gate_NCT, geometry, gates_output = operands(
        x, weight, gate, stride, padding, dilation, groups
    )
    grad_NOHW, kernel = channels_last(grad), kernel_size(weight)
    grad_NIHW = gated_product(
        grad_NOHW,
        weight_OIT,
        gate_NCT,
        image_size(x),
        geometry,
        kernel,
        gates_result=not gates_output,
        transposed=True,
    )
    grad_OTI, grad_NTC = weight_and_gate_gradients(
        grad_NOHW, x_NIHW, weight_OIT, gate_NCT, geometry, kernel, gates_output=gates_output
    )
    return (
        grad_NIHW,
        grad_OTI.unflatten(1, kernel).permute(0, 3, 1, 2),
        grad_NTC.unflatten(1, kernel).permute(0, 3, 1, 2).unsqueeze(2 if gates_output else 1),
    )


@gated_conv2d.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    gate: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    del gate
    geometry = geometry_of(stride, padding, dilation, groups)
    size = geometry.output_size(image_size(x), kernel_size(weight))
    return empty_image(x, weight.shape[0], size)


@gated_conv2d_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, gate: Tensor, *_: Any) -> tuple[Tensor, ...]:
    del grad
    side = 2 if gate.shape[2] == 1 else 1
    return (
        empty_image(x, x.shape[1], image_size(x)),
        empty_channels_last(weight),
        empty_channels_last(gate.squeeze(side)).unsqueeze(side),
    )


def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep the operands, and nothing that is larger."""
    del output
    ctx.save_for_backward(*inputs[:3])
    ctx.geometry = inputs[3:]


def differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of the operator's arguments."""
    return *gated_conv2d_backward(grad, *ctx.saved_tensors, *ctx.geometry), None, None, None, None


gated_conv2d.register_autograd(differentiate, setup_context=keep)


@register_flop_formula(torch.ops.awlab.gated_conv2d)
def _count(x: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return operations(weight, out_shape)


@register_flop_formula(torch.ops.awlab.gated_conv2d_backward)
def _count_backward(grad: Any, x: Any, weight: Any, *_: Any, **__: Any) -> int:
    return 2 * operations(weight, grad)


def operations(weight_OIhw: Any, y_NOHW: Any) -> int:
    """Count the multiplications and additions of an ordinary convolution, by shapes."""
    outputs, *per_output = weight_OIhw
    samples, _, height, width = y_NOHW
    products = samples * outputs * height * width
    for length in per_output:
        products *= length
    return 2 * products


def operands(
    x: Tensor,
    weight: Tensor,
    gate: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> tuple[Tensor, Tensor, Tensor, Geometry, bool]:
    """Arrange the arguments of the operator for the kernels, and tell whether outputs are gated."""
    gates_output = gate.shape[2] == 1
    return (
        channels_last(x),
        channels_last(weight).flatten(2),
        gate.squeeze(2 if gates_output else 1).flatten(2).to(x.dtype),
        geometry_of(stride, padding, dilation, groups),
        gates_output,
    )


def empty_channels_last(like_NChw: Tensor) -> Tensor:
    """Return an empty tensor whose last dim in memory is C, also where sizes are 1."""
    samples, channels, height, width = like_NChw.shape
    return like_NChw.new_empty(samples, height, width, channels).permute(0, 3, 1, 2)


def channels_last(x_NCHW: Tensor) -> Tensor:
    """Lay pixels out one after the other."""
    return x_NCHW.contiguous(memory_format=torch.channels_last)
