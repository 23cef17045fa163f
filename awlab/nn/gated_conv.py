"""F3: the convolution with gated weights, in the form that suits what the gate shares.

| gate is shared along       | form            | why                                             |
|----------------------------|-----------------|-------------------------------------------------|
| the whole batch            | `one_weight`    | an ordinary convolution                         |
| taps and C1                | `output_gate`   | the gate commutes with the convolution          |
| taps and C2                | `input_gate`    | likewise                                        |
| taps, 1x1 kernel, P > C    | `grouped`       | gated weights are smaller than a gated image    |
| C1 or C2, 16 bits on a GPU | `fused`         | a Triton kernel gates what is in registers      |
| C1 or C2, P <= C           | `taps`          | one weight for all; a gate acts on P products   |
| C1 or C2, P > C            | `grouped`       | a gate acts on C weights, a few samples at once |
| neither                    | `grouped`       | each sample has weights of its own              |
| any but the first three,   | `portable`      | the exported graph serves any batch             |
| while exporting            |                 |                                                 |

P is the number of output pixels and C that of the channels that the gate is shared along: a value
of the gate multiplies either P products or C weights. `grouped` also serves channel groups; on a
GPU it is otherwise `taps`. With one sample all gates are shared by the whole batch.
`docs/performance.md` has the measurements.
"""

# Shape suffixes: N batch, B blocks of N / B consecutive samples that share a gate, O out channels,
# I in channels (of one group where a weight or gate has it), H W image, h w kernel.

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from awlab.nn import kernels, loop_operator, portable_conv
from awlab.nn.geometry import Geometry, image_size, kernel_size
from awlab.nn.grouped_conv import multiplies_pixels

Form = Callable[[Tensor, Tensor, Tensor, Geometry], Tensor]


def gated_conv2d(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> Tensor:
    """Convolve each sample with its gated weights, AK = gate * K (Eqs. 4 and 5).

    Nothing of the size of per-sample weights is kept for the backward pass, which can be
    differentiated no further.

    Args:
        x_NIHW: Images; block b of N / B consecutive ones uses gate b.
        weight_OIhw: K.
        gate_BOIhw: Broadcasts against (B, *K.shape); dims of size 1 are shared.
        geometry: Of the convolution.
    """
    x_NIHW, weight_OIhw, gate_BOIhw = autocast(x_NIHW, weight_OIhw, gate_BOIhw)
    form = FORMS[choose(x_NIHW, weight_OIhw, gate_BOIhw, geometry)]
    return form(x_NIHW, weight_OIhw, gate_BOIhw, geometry)


def choose(x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry) -> str:
    """Name the form by the table above."""
    blocks, outputs, inputs, *taps = gate_BOIhw.shape
    if blocks == 1:
        return "one_weight"
    one_sided = 1 in (outputs, inputs)
    if torch.compiler.is_exporting() and not (one_sided and taps == [1, 1]):
        return "portable"
    if not one_sided:
        return "grouped"
    if taps != [1, 1]:
        return choose_one_sided(x_NIHW, weight_OIhw, gate_BOIhw, geometry)
    on_cpu = x_NIHW.device.type == "cpu" and not torch.compiler.is_exporting()
    if on_cpu and multiplies_pixels(x_NIHW, weight_OIhw, gate_BOIhw, geometry):
        pixels, channels = gate_costs(x_NIHW, weight_OIhw, gate_BOIhw, geometry)
        if pixels > channels:
            return "grouped"
    return "output_gate" if inputs == 1 else "input_gate"


def choose_one_sided(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> str:
    """Name the form for a gate of its own for each tap, and for outputs or inputs."""
    device = x_NIHW.device.type
    # A form without shape-dependent shortcuts, so that operations can be counted on "meta".
    if device == "meta":
        return "grouped"
    if kernels.fits(x_NIHW):
        return "fused"
    if geometry.groups > 1:
        return "grouped"
    if device != "cpu":
        return "taps"
    pixels, channels = gate_costs(x_NIHW, weight_OIhw, gate_BOIhw, geometry)
    return "taps" if pixels <= channels else "grouped"


def gate_costs(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> tuple[int, int]:
    """Return how many products, or weights, one value of a one-sided gate multiplies."""
    height, width = geometry.output_size(image_size(x_NIHW), kernel_size(weight_OIhw))
    return height * width, weight_OIhw.shape[1 if gate_BOIhw.shape[2] == 1 else 0]


def one_weight(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> Tensor:
    """Convolve for a gate that all samples share."""
    return F.conv2d(x_NIHW, weight_OIhw * gate_BOIhw[0], None, *geometry)


def output_gate(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> Tensor:
    """Convolve for a gate that varies with sample and output channel alone."""
    return F.conv2d(x_NIHW, weight_OIhw, None, *geometry) * per_sample(gate_BOIhw, x_NIHW)[:, :, 0]


def input_gate(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> Tensor:
    """Convolve for a gate that varies with sample and input channel alone."""
    gate_NIHW = per_sample(gate_BOIhw, x_NIHW)[:, 0].repeat(1, geometry.groups, 1, 1)
    return F.conv2d(x_NIHW * gate_NIHW, weight_OIhw, None, *geometry)


def per_sample(gate_BOIhw: Tensor, x_NIHW: Tensor) -> Tensor:
    """Repeat the gate of each block for its samples."""
    repeats = x_NIHW.shape[0] // gate_BOIhw.shape[0]
    return gate_BOIhw if repeats == 1 else gate_BOIhw.repeat_interleave(repeats, 0)


def one_side(gate_BOIhw: Tensor, x_NIHW: Tensor, weight_OIhw: Tensor) -> Tensor:
    """Repeat a gate for each sample, each tap, and each channel of the side that it belongs to."""
    on_output = gate_BOIhw.shape[2] == 1
    side = (weight_OIhw.shape[0], 1) if on_output else (1, weight_OIhw.shape[1])
    return per_sample(gate_BOIhw, x_NIHW).expand(-1, *side, *kernel_size(weight_OIhw))


class GatedConv(torch.autograd.Function):
    """A gated convolution that keeps nothing but its operands for its backward pass."""

    @staticmethod
    def forward(
        x_NIHW: Tensor,
        weight_OIhw: Tensor,
        gate_BOIhw: Tensor,
        geometry: Geometry,
        form: str,
    ) -> Tensor:
        return loop_operator.FORMS[form].output(x_NIHW, weight_OIhw, gate_BOIhw, geometry)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x_NIHW, weight_OIhw, gate_BOIhw, ctx.geometry, ctx.form = inputs
        ctx.save_for_backward(x_NIHW, weight_OIhw, gate_BOIhw)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Any
    ) -> tuple[Tensor | None, ...]:
        (grad_NOHW,) = grad_outputs
        gradients = loop_operator.FORMS[ctx.form].gradients
        return *gradients(grad_NOHW, *ctx.saved_tensors, ctx.geometry), None, None


def looped(
    form: str, x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry
) -> Tensor:
    """Convolve by a form that loops; a compiler sees it whole."""
    if not torch.compiler.is_compiling():
        return GatedConv.apply(x_NIHW, weight_OIhw, gate_BOIhw, geometry, form)
    places = map(list, geometry[:3])
    operands = (x_NIHW, weight_OIhw, gate_BOIhw)
    return loop_operator.gated_conv2d(*operands, *places, geometry.groups, form)


def taps(x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve tap by tap, for a gate that is shared along C1 or along C2."""
    gate_NOIhw = one_side(gate_BOIhw, x_NIHW, weight_OIhw)
    return looped("taps", x_NIHW, weight_OIhw, gate_NOIhw, geometry)


def fused(x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve in one kernel, for a gate that is shared along C1 or along C2."""
    from awlab.nn.kernels.operator import gated_conv2d as operator  # needs Triton

    gate_NOIhw = one_side(gate_BOIhw, x_NIHW, weight_OIhw)
    places = map(list, geometry[:3])
    return operator(x_NIHW, weight_OIhw, gate_NOIhw, *places, geometry.groups)


def grouped(x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with gated weights, on a CPU a few samples at a time, for any gate and geometry."""
    return looped("grouped", x_NIHW, weight_OIhw, gate_BOIhw, geometry)


def portable(x_NIHW: Tensor, weight_OIhw: Tensor, gate_BOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve in operations that every exporter knows, for any gate and any geometry."""
    return portable_conv.output(x_NIHW, weight_OIhw, per_sample(gate_BOIhw, x_NIHW), geometry)


FORMS: dict[str, Form] = {
    form.__name__: form
    for form in (one_weight, output_gate, input_gate, fused, taps, grouped, portable)
}


def autocast(*operands: Tensor) -> list[Tensor]:
    """Cast operands as autocast does for a convolution."""
    device = operands[0].device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return list(operands)
    dtype = torch.get_autocast_dtype(device)
    return [x if x.dtype == torch.float64 else x.to(dtype) for x in operands]
