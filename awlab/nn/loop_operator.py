"""The forms of the gated convolution that loop, as one operator of torch.

A compiler would unroll their loops, over taps and chunks, into a thousand small kernels that take
minutes to build and are no faster. It sees this operator whole instead.
"""

# Shape suffixes: N samples, O out channels, I in channels, H W image, h w kernel.

from typing import Any

import torch
from torch import Tensor

from awlab.nn import grouped_conv, tap_conv
from awlab.nn.geometry import geometry_of, image_size, kernel_size

FORMS: dict[str, Any] = {"taps": tap_conv, "grouped": grouped_conv}
"""Modules with the functions `output` and `gradients`."""


@torch.library.custom_op("awlab::gated_conv2d_loops", mutates_args=())
def gated_conv2d(
    x: Tensor,
    weight: Tensor,
    gate: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    form: str,
) -> Tensor:
    """Convolve with gated weights.

    Args:
        x: (N, I, H, W).
        weight: (O, I / groups, h, w).
        gate: As the form wants it.
        stride: As the following ones, of a convolution.
        padding: Zeros on both sides.
        dilation: Of the kernel.
        groups: Of the channels.
        form: Which.
    """
    geometry = geometry_of(stride, padding, dilation, groups)
    return FORMS[form].output(x, weight, gate, geometry).contiguous()


@torch.library.custom_op("awlab::gated_conv2d_loops_backward", mutates_args=())
def gated_conv2d_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    gate: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    form: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and gate."""
    geometry = geometry_of(stride, padding, dilation, groups)
    gradients = FORMS[form].gradients(grad, x, weight, gate, geometry)
    grad_x, grad_weight, grad_gate = (gradient.contiguous() for gradient in gradients)
    return grad_x, grad_weight, grad_gate


@gated_conv2d.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    gate: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    form: str,
) -> Tensor:
    del gate, form
    geometry = geometry_of(stride, padding, dilation, groups)
    size = geometry.output_size(image_size(x), kernel_size(weight))
    return x.new_empty(x.shape[0], weight.shape[0], *size)


@gated_conv2d_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, gate: Tensor, *_: Any) -> tuple[Tensor, ...]:
    del grad
    return tuple(operand.new_empty(operand.shape) for operand in (x, weight, gate))


def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep the operands, and nothing that is larger."""
    del output
    ctx.save_for_backward(*inputs[:3])
    ctx.rest = inputs[3:]


def differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of the operator's arguments."""
    gradients = gated_conv2d_backward(grad, *ctx.saved_tensors, *ctx.rest)
    return *gradients, *(None for _ in ctx.rest)


gated_conv2d.register_autograd(differentiate, setup_context=keep)
