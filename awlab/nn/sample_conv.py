"""The gated convolution with per-sample weights, for any gate.

The weights of a few samples are made at a time, used while they are in the cache, and made again
for the backward pass. One matrix product per kernel row does the convolution: the image is copied
once for each kernel column, shifted, and kernel rows are then slices of that copy. The loops make
no views that they could find made: on small images, Python would take as long as the products.
"""

# Shape suffixes: N samples, O out channels, I in channels, H W image, P pixels, h w kernel,
# R rows of the zero-padded image, K = w*I or w*O.

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from awlab.nn.geometry import Geometry, Size, image_size, kernel_size, taps_first, taps_last

CHUNK_BYTES = 2**21
"""What the shifted images of the samples in flight may take: a core's cache."""


def fits(geometry: Geometry, size: Size, kernel: Size) -> bool:
    """Return whether `output` and `gradients` can do this convolution."""
    reach = geometry.dilation[0] * (kernel[0] - 1)
    same_width = geometry.output_size(size, kernel)[1] == size[1]
    plain = geometry.stride == (1, 1) and geometry.groups == 1
    return plain and same_width and geometry.padding[0] <= reach


def output(x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with gated weights."""
    kernel = kernel_size(weight_OIhw)
    count = geometry.output_size(image_size(x_NIHW), kernel)
    weight_hOwI = taps_first(weight_OIhw).transpose(1, 2)
    gate_hNOwI = gate_NOIhw.permute(3, 0, 1, 4, 2).expand(kernel[0], -1, -1, -1, -1)
    y_NOP = x_NIHW.new_empty(x_NIHW.shape[0], weight_OIhw.shape[0], count[0] * count[1])
    for part, image in parts(x_NIHW, offsets(geometry, kernel), count[0]):
        gated_NOwI = x_NIHW.new_empty(image.samples, *weight_hOwI.shape[1:])
        gated_NOK = gated_NOwI.flatten(2)
        operands = (x_NIHW[part], y_NOP[part], *gate_hNOwI[:, part])
        for x_chunk_NIHW, y_chunk_NOP, *gates_NOwI in image.chunks(operands):
            image.fill(x_chunk_NIHW)
            rows = zip(weight_hOwI, gates_NOwI, image.rows_NKP, strict=True)
            for row, (weight_OwI, gate_NOwI, x_NKP) in enumerate(rows):
                torch.mul(weight_OwI, gate_NOwI, out=gated_NOwI)
                torch.baddbmm(y_chunk_NOP, gated_NOK, x_NKP, beta=min(row, 1), out=y_chunk_NOP)
    return y_NOP.unflatten(2, count)


def gradients(
    grad_NOHW: Tensor, x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and gate.

    The products of shifted gradient and input are, sample by sample, the gradients of the gated
    weights; summed with the gate as factor they give that of the weight, and the other way round.
    """
    height = weight_OIhw.shape[2]
    weight_hwOI = taps_first(weight_OIhw)
    grad_NIHW = torch.empty_like(x_NIHW, memory_format=torch.contiguous_format)
    grad_hwOI, grad_NOIhw = weight_OIhw.new_zeros(weight_hwOI.shape), torch.zeros_like(gate_NOIhw)
    gate_hNwOI, grad_hNwOI = (
        gate.permute(3, 0, 4, 1, 2).expand(height, -1, -1, -1, -1)
        for gate in (gate_NOIhw, grad_NOIhw)
    )
    back = [[-offset for offset in along] for along in offsets(geometry, kernel_size(weight_OIhw))]
    for part, image in parts(grad_NOHW, back, x_NIHW.shape[2]):
        workspaces = x_NIHW.new_empty(2, image.samples, *weight_hwOI.shape[1:])
        gated_NIK = workspaces[0].flatten(1, 2).transpose(1, 2)
        x_NPI, grad_NIP = x_NIHW[part].flatten(2).transpose(1, 2), grad_NIHW[part].flatten(2)
        gates = (*gate_hNwOI[:, part], *grad_hNwOI[:, part])
        operands = (x_NPI, grad_NIP, grad_NOHW[part], *gates)
        for x_chunk_NPI, grad_chunk_NIP, grad_chunk_NOHW, *rows_NwOI in image.chunks(operands):
            image.fill(grad_chunk_NOHW)
            for row, grad_NKP in enumerate(image.rows_NKP):
                gate_NwOI, grad_NwOI = rows_NwOI[row], rows_NwOI[height + row]
                torch.mul(weight_hwOI[row], gate_NwOI, out=workspaces[0])
                beta = min(row, 1)
                torch.baddbmm(grad_chunk_NIP, gated_NIK, grad_NKP, beta=beta, out=grad_chunk_NIP)
                torch.bmm(grad_NKP, x_chunk_NPI, out=workspaces[1].flatten(1, 2))
                share(workspaces, weight_hwOI[row], gate_NwOI, grad_hwOI[row], grad_NwOI)
    del weight_hwOI  # room for the copy of the gradient of the weight
    return grad_NIHW, taps_last(grad_hwOI), grad_NOIhw


def share(
    workspaces: Tensor, weight_wOI: Tensor, gate_NwOI: Tensor, grad_wOI: Tensor, grad_NwOI: Tensor
) -> None:
    """Add the gradient of gated weights, the second workspace, to those of weight and gate."""
    product_NwOI = torch.mul(workspaces[1], weight_wOI, out=workspaces[0])
    shared = [dim for dim in (1, 2, 3) if gate_NwOI.shape[dim] == 1]
    grad_NwOI.add_(product_NwOI.sum(shared, keepdim=True) if shared else product_NwOI)
    for gradient_wOI, gate_wOI in zip(workspaces[1], gate_NwOI, strict=True):
        grad_wOI.addcmul_(gradient_wOI, gate_wOI)


def offsets(geometry: Geometry, kernel: Size) -> list[list[int]]:
    """Return how far from an output pixel each kernel row, and each column, sees the input."""
    return [
        [tap * geometry.dilation[dim] - geometry.padding[dim] for tap in range(kernel[dim])]
        for dim in (0, 1)
    ]


class Shifted:
    """An image of some samples as each tap sees it, in memory that is filled again and again.

    Args:
        like_NCHW: Gives channels, size and dtype.
        offsets: How far each kernel row, and each kernel column, looks.
        count: Rows that look.
        samples: Of one filling.
    """

    def __init__(
        self, like_NCHW: Tensor, offsets: list[list[int]], count: int, samples: int
    ) -> None:
        height, width = image_size(like_NCHW)
        self.samples = samples
        first, shape = padded_shape(like_NCHW, offsets, count)
        padded_NwCRW = like_NCHW.new_zeros(samples, *shape)
        pixels_NKP = padded_NwCRW.flatten(3).flatten(1, 2)
        starts = [(row - first) * width for row in offsets[0]]
        self.rows_NKP = [pixels_NKP[..., start : start + count * width] for start in starts]
        images = padded_NwCRW[..., -first : height - first, :].unbind(1)
        # What a column does not see stays zero.
        self.columns = [
            (image_NCHW.narrow(3, max(-offset, 0), width - abs(offset)), max(offset, 0))
            for image_NCHW, offset in zip(images, offsets[1], strict=True)
            if abs(offset) < width
        ]

    def fill(self, x_NCHW: Tensor) -> None:
        """Copy an image, so that column q holds column q + offset for each of the offsets."""
        for column_NCHW, start in self.columns:
            column_NCHW.copy_(x_NCHW.narrow(3, start, column_NCHW.shape[3]))

    def chunks(self, operands: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
        """Split operands into as many samples as one filling has."""
        return zip(*(operand.split(self.samples) for operand in operands), strict=True)


def parts(x_NCHW: Tensor, offsets: list[list[int]], count: int) -> Iterator[tuple[slice, Shifted]]:
    """Yield the samples that fill whole chunks, then those that are left over."""
    samples = len(x_NCHW)
    _, shape = padded_shape(x_NCHW, offsets, count)
    cached = CHUNK_BYTES // (x_NCHW.element_size() * prod(shape))
    step = min(samples, max(torch.get_num_threads(), cached))
    whole = samples - samples % step
    yield slice(0, whole), Shifted(x_NCHW, offsets, count, step)
    if whole < samples:
        yield slice(whole, samples), Shifted(x_NCHW, offsets, count, samples - whole)


def padded_shape(
    x_NCHW: Tensor, offsets: list[list[int]], count: int
) -> tuple[int, tuple[int, ...]]:
    """Return the first row that is looked at, and the shape of one sample of `Shifted`."""
    first, last = min(offsets[0]), max(offsets[0])
    _, channels, _, width = x_NCHW.shape
    return first, (len(offsets[1]), channels, count + last - first, width)
