"""The gated convolution tap by tap: for maps that are shared along C1 or along C2.

Such a gate belongs to one side of the kernel, to its outputs or to its inputs. Let `a` be the
image on the gate's side and `b` the other one (output and input, in one order or the other). All
that training needs are partial derivatives of one sum, linear in each factor, over the taps t,

    <a[where t is], gate[t] * (b[where t is] @ weight[t])>,

so that the shared weights multiply plain rows of pixels: per-sample weights never exist, products
exist for one tap at a time, and padding is never multiplied.
"""

# Shape suffixes: N samples, A channels on the gate's side, B on the other, H W image, h w kernel.

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from awlab.nn.geometry import (
    Geometry,
    Size,
    image_size,
    kernel_size,
    like_image,
    overlap,
    taps_first,
    taps_last,
)

PIXELS_PER_CHUNK = 2048
"""Pixels at a time on a CPU: enough rows for a matrix product, few enough for its caches."""

Place = tuple[slice, slice]


class Tap(NamedTuple):
    """A position in the kernel, and the pixels on both sides that it connects."""

    position: Size
    at_a: Place
    at_b: Place


class Sides(NamedTuple):
    """What is multiplied, arranged by whether the gate is on the outputs or on the inputs."""

    weight: Tensor  # hwBA
    gate: Tensor  # hwNA
    taps: list[Tap]
    gates_output: bool

    def of(self, samples: slice) -> "Sides":
        """Keep the gates of some samples."""
        return self._replace(gate=self.gate[:, :, samples])


def output(x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with gated weights; the gate has size 1 along C1, or else along C2."""
    count = geometry.output_size(image_size(x_NIHW), kernel_size(weight_OIhw))
    sides = arrange(weight_OIhw, gate_NOIhw, geometry, image_size(x_NIHW), count)
    y_NOHW = like_image(x_NIHW, weight_OIhw.shape[0], count)
    for samples in chunks(x_NIHW):
        x_HWNI = to_rows(x_NIHW[samples])
        derive = derive_a if sides.gates_output else derive_b
        from_rows(derive(x_HWNI, sides.of(samples), count), y_NOHW[samples])
    return y_NOHW


def gradients(
    grad_NOHW: Tensor, x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and gate."""
    sides = arrange(weight_OIhw, gate_NOIhw, geometry, image_size(x_NIHW), image_size(grad_NOHW))
    grad_NIHW = torch.empty_like(x_NIHW)
    grad_hwOI = weight_OIhw.new_zeros(kernel_size(weight_OIhw) + weight_OIhw.shape[:2])
    grad_hwNA = torch.zeros_like(sides.gate)
    for samples in chunks(x_NIHW):
        x_HWNI, grad_HWNO = to_rows(x_NIHW[samples]), to_rows(grad_NOHW[samples])
        a_HWNA, b_HWNB = (grad_HWNO, x_HWNI) if sides.gates_output else (x_HWNI, grad_HWNO)
        grad_HWNI = derive_all(
            a_HWNA, b_HWNB, sides.of(samples), grad_hwOI, grad_hwNA[:, :, samples]
        )
        from_rows(grad_HWNI, grad_NIHW[samples])
    return grad_NIHW, taps_last(grad_hwOI), taps_last(grad_hwNA).view_as(gate_NOIhw)


def derive_a(b_HWNB: Tensor, sides: Sides, size: Size) -> Tensor:
    """Return the derivative of the sum by `a`, an image of `size`: taps gated and summed."""
    samples, channels = sides.gate.shape[2:]
    a_HWNA = b_HWNB.new_zeros(*size, samples, channels)
    for position, at_a, at_b in sides.taps:
        at_a_HWNA, b_PB = a_HWNA[at_a], b_HWNB[at_b].flatten(0, 2)
        at_a_HWNA.addcmul_(
            (b_PB @ sides.weight[position]).view(at_a_HWNA.shape), sides.gate[position]
        )
    return a_HWNA


def derive_b(a_HWNA: Tensor, sides: Sides, size: Size) -> Tensor:
    """Return the derivative of the sum by `b`, an image of `size`: gated pixels convolved."""
    samples = a_HWNA.shape[2]
    b_HWNB = a_HWNA.new_zeros(*size, samples, sides.weight.shape[2])
    for position, at_a, at_b in sides.taps:
        at_b_HWNB, gated_PA = b_HWNB[at_b], (a_HWNA[at_a] * sides.gate[position]).flatten(0, 2)
        at_b_HWNB += (gated_PA @ sides.weight[position].t()).view(at_b_HWNB.shape)
    return b_HWNB


def derive_all(
    a_HWNA: Tensor, b_HWNB: Tensor, sides: Sides, grad_hwOI: Tensor, grad_hwNA: Tensor
) -> Tensor:
    """Fill in the derivatives by weight (adding) and gate; return that by the input's side."""
    grad_HWNI = torch.zeros_like(b_HWNB if sides.gates_output else a_HWNA)
    for position, at_a, at_b in sides.taps:
        gate_NA, weight_BA = sides.gate[position], sides.weight[position]
        at_a_HWNA, b_PB = a_HWNA[at_a], b_HWNB[at_b].flatten(0, 2)
        tap_HWNA = (b_PB @ weight_BA).view(at_a_HWNA.shape)
        grad_hwNA[position] = (tap_HWNA * at_a_HWNA).sum((0, 1))
        gated_PA = (at_a_HWNA * gate_NA).flatten(0, 2)
        y_PO, x_PI = (gated_PA, b_PB) if sides.gates_output else (b_PB, gated_PA)
        torch.addmm(grad_hwOI[position], y_PO.t(), x_PI, out=grad_hwOI[position])
        if sides.gates_output:
            at_b_HWNB = grad_HWNI[at_b]
            at_b_HWNB += (gated_PA @ weight_BA.t()).view(at_b_HWNB.shape)
        else:
            grad_HWNI[at_a].addcmul_(tap_HWNA, gate_NA)
    return grad_HWNI


def arrange(
    weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry, size: Size, count: Size
) -> Sides:
    """Put weight, gate and taps in the order of the sides."""
    gates_output = gate_NOIhw.shape[2] == 1
    weight_hwOI = taps_first(weight_OIhw)
    gate_hwNA = gate_NOIhw.squeeze(2 if gates_output else 1).permute(2, 3, 0, 1).contiguous()
    taps = list(taps_of(geometry, size, count, kernel_size(weight_OIhw)))
    if not gates_output:
        taps = [Tap(position, at_a=at_b, at_b=at_a) for position, at_a, at_b in taps]
    weight_hwBA = weight_hwOI.transpose(2, 3) if gates_output else weight_hwOI
    return Sides(weight_hwBA, gate_hwNA, taps, gates_output)


def taps_of(geometry: Geometry, size: Size, count: Size, kernel: Size) -> Iterator[Tap]:
    """Yield the taps that meet the image somewhere; a is the output and b the input."""
    along = [
        [overlap(geometry, dim, tap, size[dim], count[dim]) for tap in range(kernel[dim])]
        for dim in (0, 1)
    ]
    for row, column in product(*map(range, kernel)):
        (at_a_H, at_b_H), (at_a_W, at_b_W) = along[0][row], along[1][column]
        if at_a_H.start < at_a_H.stop and at_a_W.start < at_a_W.stop:
            yield Tap((row, column), (at_a_H, at_a_W), (at_b_H, at_b_W))


def chunks(x_NIHW: Tensor) -> Iterator[slice]:
    """Split the batch for a CPU's caches; a compiler would unroll the loop."""
    samples, _, height, width = x_NIHW.shape
    step = samples
    if x_NIHW.device.type == "cpu" and not torch.compiler.is_compiling():
        step = max(1, PIXELS_PER_CHUNK // (height * width))
    for start in range(0, samples, step):
        yield slice(start, start + step)


def to_rows(x_NCHW: Tensor) -> Tensor:
    """Lay pixels along the first dims, so that the pixels of a tap are blocks of rows."""
    if not x_NCHW.is_contiguous():
        return x_NCHW.permute(2, 3, 0, 1).contiguous()
    # A transposition of matrices is what torch copies fast.
    height, width = image_size(x_NCHW)
    x_PC = x_NCHW.flatten(2).flatten(0, 1).t().contiguous()
    return x_PC.view(height, width, *x_NCHW.shape[:2])


def from_rows(x_HWNC: Tensor, out_NCHW: Tensor) -> None:
    """Write an image that was laid out by `to_rows`."""
    if out_NCHW.is_contiguous():
        x_PC = x_HWNC.flatten(2).flatten(0, 1)
        out_NCHW.view(x_PC.t().shape).copy_(x_PC.t())
    else:
        out_NCHW.permute(2, 3, 0, 1).copy_(x_HWNC)
