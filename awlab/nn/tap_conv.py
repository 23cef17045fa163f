"""The gated convolution tap by tap: for maps that are shared along C1 or along C2.

Such a gate belongs to one side of the kernel, to its outputs or to its inputs. Let `a` be the
image on the gate's side and `b` the other one (output and input, in one order or the other). All
that training needs are partial derivatives of one sum, linear in each factor, over the taps t,

    <a[where t is], gate[t] * (b[where t is] @ weight[t])>,

so that the shared weights multiply plain rows of pixels: per-sample weights never exist, products
exist for one tap at a time, and padding is never multiplied. The pixels of `b` that a column of
the kernel sees are laid out once, as a strip in which each of its taps sees one block of rows.

Where the gate is on the outputs, its gradient and that of the weight are either two products (the
taps again with `a`, and gated pixels with `b`), or one: `a` with `b` sample by sample, which gives
the gradients of gated weights. Their sum with the gate as factor is one, that with the weight the
other.
"""

# Shape suffixes: N samples, A channels on the gate's side, B on the other, H W image, P pixels,
# h w kernel.

from collections.abc import Iterator
from math import prod
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
    taps_last,
)

ELEMENTS_PER_CHUNK = 2**18
"""Of an image, at a time on a CPU: enough rows for a matrix product, few enough for its caches."""
WEIGHTS_PER_CHUNK = 2**17
"""Of gradients of gated weights, at a time and for each thread: half of a core's cache."""
FEWEST_PIXELS = 40
"""From here on a product costs more than the passes over gated weights that it saves."""

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
    columns: list[list[Tap]]
    gates_output: bool
    room: Tensor  # of the weight

    def of(self, samples: slice) -> "Sides":
        """Keep the gates of some samples."""
        return self._replace(gate=self.gate[:, :, samples])


class Memory:
    """What is used for one tap after the other: fresh memory would cost as much time as its use.

    Args:
        like: Gives dtype and device.
        elements: Of the larger of the two images, in one chunk.
    """

    def __init__(self, like: Tensor, elements: int) -> None:
        self.product, self.gated, self.strip, self.gradient = like.new_empty(4, elements).unbind()


def output(x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with gated weights; the gate has size 1 along C1, or else along C2."""
    count = geometry.output_size(image_size(x_NIHW), kernel_size(weight_OIhw))
    sides = arrange(weight_OIhw, gate_NOIhw, geometry, image_size(x_NIHW), count)
    y_NOHW = like_image(x_NIHW, weight_OIhw.shape[0], count)
    memory = enough(x_NIHW, y_NOHW)
    for samples in chunks(x_NIHW, y_NOHW):
        x_HWNI = to_rows(x_NIHW[samples])
        derive = derive_a if sides.gates_output else derive_b
        from_rows(derive(x_HWNI, sides.of(samples), count, memory), y_NOHW[samples])
    return y_NOHW


def gradients(
    grad_NOHW: Tensor, x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and gate."""
    sides = arrange(weight_OIhw, gate_NOIhw, geometry, image_size(x_NIHW), image_size(grad_NOHW))
    grad_NIHW = torch.empty_like(x_NIHW)
    grad_hwOI = weight_OIhw.new_zeros(kernel_size(weight_OIhw) + weight_OIhw.shape[:2])
    grad_hwNA = torch.zeros_like(sides.gate)
    memory = enough(x_NIHW, grad_NOHW)
    derive = derive_by_samples if suits_samples(grad_NOHW, sides) else derive_all
    for samples in chunks(x_NIHW, grad_NOHW):
        x_HWNI, grad_HWNO = to_rows(x_NIHW[samples]), to_rows(grad_NOHW[samples])
        a_HWNA, b_HWNB = (grad_HWNO, x_HWNI) if sides.gates_output else (x_HWNI, grad_HWNO)
        grad_HWNI = derive(
            a_HWNA, b_HWNB, sides.of(samples), grad_hwOI, grad_hwNA[:, :, samples], memory
        )
        from_rows(grad_HWNI, grad_NIHW[samples])
    # The rearranged weight has served; fresh memory for as much again would be the peak.
    grad_OIhw = sides.room.view(weight_OIhw.shape).copy_(grad_hwOI.permute(2, 3, 0, 1))
    return grad_NIHW, grad_OIhw, taps_last(grad_hwNA).view_as(gate_NOIhw)


def suits_samples(grad_NOHW: Tensor, sides: Sides) -> bool:
    """Return whether `derive_by_samples` can derive, and is faster than `derive_all`."""
    many_pixels = prod(image_size(grad_NOHW)) >= FEWEST_PIXELS
    # With fewer digits a CPU multiplies matrices twice as fast, and passes over memory are what
    # takes time.
    saves_time = (
        grad_NOHW.device.type == "cpu" and grad_NOHW.element_size() >= torch.float32.itemsize
    )
    return sides.gates_output and many_pixels and saves_time


def derive_a(b_HWNB: Tensor, sides: Sides, size: Size, memory: Memory) -> Tensor:
    """Return the derivative of the sum by `a`, an image of `size`: taps gated and summed."""
    samples, channels = sides.gate.shape[2:]
    a_HWNA = b_HWNB.new_zeros(*size, samples, channels)
    for taps in sides.columns:
        strip_HWNB = copy_strip(b_HWNB, taps[0].at_b, memory.strip)
        for position, at_a, (rows, _) in taps:
            at_a_HWNA = a_HWNA[at_a]
            product_HWNA = part_of(memory.product, at_a_HWNA.shape)
            multiply(strip_HWNB[rows], sides.weight[position], product_HWNA)
            at_a_HWNA.addcmul_(product_HWNA, sides.gate[position])
    return a_HWNA


def derive_b(a_HWNA: Tensor, sides: Sides, size: Size, memory: Memory) -> Tensor:
    """Return the derivative of the sum by `b`, an image of `size`: gated pixels convolved."""
    samples = a_HWNA.shape[2]
    b_HWNB = a_HWNA.new_zeros(*size, samples, sides.weight.shape[2])
    for taps in sides.columns:
        strip_HWNB = zero_strip(b_HWNB, taps, memory)
        for position, at_a, (rows, _) in taps:
            at_a_HWNA = a_HWNA[at_a]
            gated_HWNA = part_of(memory.gated, at_a_HWNA.shape)
            torch.mul(at_a_HWNA, sides.gate[position], out=gated_HWNA)
            add_product(gated_HWNA, sides.weight[position].t(), strip_HWNB[rows])
        add_strip(strip_HWNB, taps, b_HWNB)
    return b_HWNB


def derive_all(
    a_HWNA: Tensor,
    b_HWNB: Tensor,
    sides: Sides,
    grad_hwOI: Tensor,
    grad_hwNA: Tensor,
    memory: Memory,
) -> Tensor:
    """Fill in the derivatives by weight (adding) and gate; return that by the input's side."""
    grad_HWNI = torch.zeros_like(b_HWNB if sides.gates_output else a_HWNA)
    for taps in sides.columns:
        strip_HWNB = copy_strip(b_HWNB, taps[0].at_b, memory.strip)
        grad_strip_HWNB = zero_strip(grad_HWNI, taps, memory) if sides.gates_output else None
        for position, at_a, (rows, _) in taps:
            gate_NA, weight_BA = sides.gate[position], sides.weight[position]
            at_a_HWNA, at_b_HWNB = a_HWNA[at_a], strip_HWNB[rows]
            product_HWNA, gated_HWNA = (
                part_of(part, at_a_HWNA.shape) for part in (memory.product, memory.gated)
            )
            multiply(at_b_HWNB, weight_BA, product_HWNA)
            torch.mul(product_HWNA, at_a_HWNA, out=gated_HWNA)
            torch.sum(gated_HWNA, (0, 1), out=grad_hwNA[position])
            torch.mul(at_a_HWNA, gate_NA, out=gated_HWNA)
            gated_PA, b_PB = gated_HWNA.flatten(0, 2), at_b_HWNB.flatten(0, 2)
            y_PO, x_PI = (gated_PA, b_PB) if sides.gates_output else (b_PB, gated_PA)
            torch.addmm(grad_hwOI[position], y_PO.t(), x_PI, out=grad_hwOI[position])
            if grad_strip_HWNB is None:
                grad_HWNI[at_a].addcmul_(product_HWNA, gate_NA)
            else:
                add_product(gated_HWNA, weight_BA.t(), grad_strip_HWNB[rows])
        if grad_strip_HWNB is not None:
            add_strip(grad_strip_HWNB, taps, grad_HWNI)
    return grad_HWNI


def derive_by_samples(
    a_HWNA: Tensor,
    b_HWNB: Tensor,
    sides: Sides,
    grad_hwOI: Tensor,
    grad_hwNA: Tensor,
    memory: Memory,
) -> Tensor:
    """Do what `derive_all` does, for a gate on the outputs, by the gradients of gated weights."""
    grad_HWNB = torch.zeros_like(b_HWNB)
    step = gated_weights_at_once(sides)
    room_NAB = a_HWNA.new_empty(step, *grad_hwOI.shape[2:])
    for taps in sides.columns:
        strip_HWNB = copy_strip(b_HWNB, taps[0].at_b, memory.strip)
        strip_HWNA = copy_strip(a_HWNA, taps[0].at_a, memory.product)
        grad_strip_HWNB = zero_strip(grad_HWNB, taps, memory)
        for position, (a_rows, _), (b_rows, _) in taps:
            grad_AB, grad_NA = grad_hwOI[position], grad_hwNA[position]
            gate_NA, weight_AB = sides.gate[position], sides.weight[position].t()
            at_a_HWNA, at_b_HWNB = strip_HWNA[a_rows], strip_HWNB[b_rows]
            gated_HWNA = part_of(memory.gated, at_a_HWNA.shape)
            torch.mul(at_a_HWNA, gate_NA, out=gated_HWNA)
            add_product(gated_HWNA, weight_AB, grad_strip_HWNB[b_rows])
            a_NAP = at_a_HWNA.flatten(0, 1).permute(1, 2, 0)
            b_NPB = at_b_HWNB.flatten(0, 1).transpose(0, 1)
            for start in range(0, len(gate_NA), step):
                few = slice(start, start + step)
                grad_NAB = room_NAB[: len(gate_NA[few])]
                torch.bmm(a_NAP[few], b_NPB[few], out=grad_NAB)
                share(grad_NAB, gate_NA[few], grad_NA[few], weight_AB, grad_AB)
        add_strip(grad_strip_HWNB, taps, grad_HWNB)
    return grad_HWNB


def share(
    grad_NAB: Tensor, gate_NA: Tensor, grad_NA: Tensor, weight_AB: Tensor, grad_AB: Tensor
) -> None:
    """Sum the gradients of gated weights, which are overwritten, up for gate and weight."""
    for sample_AB, gate_A in zip(grad_NAB, gate_NA, strict=True):
        grad_AB.addcmul_(sample_AB, gate_A.unsqueeze(1))
    torch.sum(grad_NAB.mul_(weight_AB), 2, out=grad_NA)


def multiply(b_HWNB: Tensor, weight_BA: Tensor, out_HWNA: Tensor) -> None:
    """Write the products of pixels and a weight."""
    torch.mm(b_HWNB.flatten(0, 2), weight_BA, out=out_HWNA.flatten(0, 2))


def add_product(a_HWNA: Tensor, weight_AB: Tensor, to_HWNB: Tensor) -> None:
    """Add the products of pixels and a weight to pixels."""
    a_PA = a_HWNA.flatten(0, 2)
    if to_HWNB.is_contiguous():
        to_PB = to_HWNB.flatten(0, 2)
        torch.addmm(to_PB, a_PA, weight_AB, out=to_PB)
    else:  # rows of a convolution with a stride
        to_HWNB.add_((a_PA @ weight_AB).view(to_HWNB.shape))


def copy_strip(image_HWNC: Tensor, place: Place, room: Tensor) -> Tensor:
    """Return the pixels that a column of the kernel sees, without gaps between the rows."""
    seen_HWNC = image_HWNC[:, place[1]]
    if seen_HWNC.is_contiguous():
        return seen_HWNC
    return part_of(room, seen_HWNC.shape).copy_(seen_HWNC)


def zero_strip(b_HWNB: Tensor, taps: list[Tap], memory: Memory) -> Tensor:
    """Return room for what a column of the kernel adds to an image, or the image itself."""
    seen_HWNB = b_HWNB[:, taps[0].at_b[1]]
    if seen_HWNB.is_contiguous():
        return seen_HWNB
    return part_of(memory.gradient, seen_HWNB.shape).zero_()


def add_strip(strip_HWNB: Tensor, taps: list[Tap], to_HWNB: Tensor) -> None:
    """Add what `zero_strip` gave to the image, where it is not the image's own memory."""
    seen_HWNB = to_HWNB[:, taps[0].at_b[1]]
    if not seen_HWNB.is_contiguous():
        seen_HWNB.add_(strip_HWNB)


def part_of(memory: Tensor, shape: torch.Size) -> Tensor:
    """Return the beginning of some memory in a shape."""
    return memory[: shape.numel()].view(shape)


def arrange(
    weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry, size: Size, count: Size
) -> Sides:
    """Put weight, gate and taps in the order of the sides."""
    gates_output = gate_NOIhw.shape[2] == 1
    weight_OhwI = weight_OIhw.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
    weight_hwOI = weight_OhwI.permute(1, 2, 0, 3)
    gate_hwNA = gate_NOIhw.squeeze(2 if gates_output else 1).permute(2, 3, 0, 1).contiguous()
    columns = columns_of(geometry, size, count, kernel_size(weight_OIhw))
    if not gates_output:
        columns = [[Tap(tap.position, tap.at_b, tap.at_a) for tap in taps] for taps in columns]
    weight_hwBA = weight_hwOI.transpose(2, 3) if gates_output else weight_hwOI
    return Sides(weight_hwBA, gate_hwNA, columns, gates_output, weight_OhwI)


def columns_of(geometry: Geometry, size: Size, count: Size, kernel: Size) -> list[list[Tap]]:
    """Return the taps that meet the image somewhere, by column; a is the output and b the input."""
    at_H, at_W = (
        [overlap(geometry, dim, tap, size[dim], count[dim]) for tap in range(kernel[dim])]
        for dim in (0, 1)
    )
    columns = [
        [
            Tap((row, column), (at_a_H, at_a_W), (at_b_H, at_b_W))
            for row, (at_a_H, at_b_H) in enumerate(at_H)
            if at_a_H.start < at_a_H.stop
        ]
        for column, (at_a_W, at_b_W) in enumerate(at_W)
        if at_a_W.start < at_a_W.stop
    ]
    return [taps for taps in columns if taps]


def chunks(x_NIHW: Tensor, y_NOHW: Tensor) -> Iterator[slice]:
    """Split the batch for a CPU's caches."""
    samples, step = len(x_NIHW), samples_at_once(x_NIHW, y_NOHW)
    for start in range(0, samples, step):
        yield slice(start, start + step)


def samples_at_once(x_NIHW: Tensor, y_NOHW: Tensor) -> int:
    """Return how many samples are done at a time."""
    samples = len(x_NIHW)
    if x_NIHW.device.type != "cpu":
        return samples
    return min(samples, max(1, ELEMENTS_PER_CHUNK // elements_of_sample(x_NIHW, y_NOHW)))


def gated_weights_at_once(sides: Sides) -> int:
    """Return how many samples' gated weights of one tap are done at a time."""
    cached = max(1, WEIGHTS_PER_CHUNK // sides.weight[0, 0].numel())
    return min(sides.gate.shape[2], cached * torch.get_num_threads())


def elements_of_sample(x_NIHW: Tensor, y_NOHW: Tensor) -> int:
    """Return the elements of the larger of the two images of a sample."""
    return max(x_NIHW[0].numel(), y_NOHW[0].numel())


def enough(x_NIHW: Tensor, y_NOHW: Tensor) -> Memory:
    """Return memory for one tap of as many samples as are done at a time."""
    elements = samples_at_once(x_NIHW, y_NOHW) * elements_of_sample(x_NIHW, y_NOHW)
    return Memory(x_NIHW, elements)


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
