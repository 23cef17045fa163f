"""The gated convolution with per-sample weights, for any gate.

The weights of a few samples are made at a time, used while they are in the cache, and made again
for the backward pass. One matrix product per kernel row does the convolution: the image is copied
once for each kernel column, shifted, and kernel rows are then slices of that copy.
"""

# Shape suffixes: N samples, O out channels, I in channels, H W image, P pixels, h w kernel,
# R rows of the zero-padded image, K = w*I or w*O.

from math import prod

import torch
from torch import Tensor

from awlab.nn.geometry import Geometry, Size, image_size, kernel_size, taps_first, taps_last

CHUNK_BYTES = 2**21
"""What the shifted images and weights of the samples in flight may take: a core's cache."""


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
    gate_hNOwI = gate_NOIhw.permute(3, 0, 1, 4, 2)
    y_NOP = x_NIHW.new_empty(x_NIHW.shape[0], weight_OIhw.shape[0], count[0] * count[1])
    image = Shifted(x_NIHW, offsets(geometry, kernel), count[0])
    workspace_NOwI = x_NIHW.new_empty(image.step, *weight_hOwI.shape[1:])
    for chunk in image.chunks:
        gated_NOwI, y_chunk_NOP = workspace_NOwI[: chunk.stop - chunk.start], y_NOP[chunk]
        for row, x_NKP in enumerate(image.rows(chunk)):
            torch.mul(weight_hOwI[row], at(gate_hNOwI, row)[chunk], out=gated_NOwI)
            gated_NOK, beta = gated_NOwI.flatten(2), min(row, 1)
            torch.baddbmm(y_chunk_NOP, gated_NOK, x_NKP, beta=beta, out=y_chunk_NOP)
    return y_NOP.unflatten(2, count)


def gradients(
    grad_NOHW: Tensor, x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of input, weight and gate.

    The products of shifted gradient and input are, sample by sample, the gradients of the gated
    weights; summed with the gate as factor they give that of the weight, and the other way round.
    """
    weight_hwOI, gate_hNwOI = taps_first(weight_OIhw), gate_NOIhw.permute(3, 0, 4, 1, 2)
    grad_NIHW = torch.empty_like(x_NIHW, memory_format=torch.contiguous_format)
    grad_hwOI, grad_NOIhw = weight_OIhw.new_zeros(weight_hwOI.shape), torch.zeros_like(gate_NOIhw)
    grad_hNwOI = grad_NOIhw.permute(3, 0, 4, 1, 2)
    shared = [dim for dim in (1, 2, 3) if gate_hNwOI.shape[dim + 1] == 1]
    back = [[-offset for offset in along] for along in offsets(geometry, kernel_size(weight_OIhw))]
    image = Shifted(grad_NOHW, back, x_NIHW.shape[2])
    workspaces = x_NIHW.new_empty(2, image.step, *weight_hwOI.shape[1:])
    for chunk in image.chunks:
        grad_NIP, x_NPI = grad_NIHW[chunk].flatten(2), x_NIHW[chunk].flatten(2).transpose(1, 2)
        first_NwOI, second_NwOI = workspaces[:, : chunk.stop - chunk.start]
        first_NKI = first_NwOI.flatten(1, 2)
        for row, grad_NKP in enumerate(image.rows(chunk)):
            weight_wOI, gate_NwOI = weight_hwOI[row], at(gate_hNwOI, row)[chunk]
            torch.mul(weight_wOI, gate_NwOI, out=first_NwOI)
            gated_NIK, beta = first_NKI.transpose(1, 2), min(row, 1)
            torch.baddbmm(grad_NIP, gated_NIK, grad_NKP, beta=beta, out=grad_NIP)
            torch.bmm(grad_NKP, x_NPI, out=first_NKI)
            torch.mul(first_NwOI, weight_wOI, out=second_NwOI)
            gate_gradient = second_NwOI.sum(shared, keepdim=True) if shared else second_NwOI
            at(grad_hNwOI, row)[chunk].add_(gate_gradient)
            for product_wOI, gate_wOI in zip(first_NwOI.unbind(), gate_NwOI.unbind(), strict=True):
                grad_hwOI[row].addcmul_(product_wOI, gate_wOI)
    return grad_NIHW, taps_last(grad_hwOI), grad_NOIhw


def at(gate_h: Tensor, row: int) -> Tensor:
    """Return one kernel row of a gate that may be shared over them."""
    return gate_h[min(row, gate_h.shape[0] - 1)]


def offsets(geometry: Geometry, kernel: Size) -> list[list[int]]:
    """Return how far from an output pixel each kernel row, and each column, sees the input."""
    return [
        [tap * geometry.dilation[dim] - geometry.padding[dim] for tap in range(kernel[dim])]
        for dim in (0, 1)
    ]


class Shifted:
    """An image as each tap sees it, a few samples at a time in the same memory.

    Args:
        x_NCHW: The image.
        offsets: How far each kernel row, and each kernel column, looks.
        count: Rows that look.
    """

    def __init__(self, x_NCHW: Tensor, offsets: list[list[int]], count: int) -> None:
        samples, channels, height, width = x_NCHW.shape
        first, last = min(offsets[0]), max(offsets[0])
        padded = (len(offsets[1]), channels, count + last - first, width)
        self.step = samples
        if not torch.compiler.is_compiling():  # it would unroll the loop over the chunks
            cached = CHUNK_BYTES // (x_NCHW.element_size() * prod(padded))
            self.step = min(samples, max(torch.get_num_threads(), cached))
        self.chunks = [
            slice(start, min(start + self.step, samples)) for start in range(0, samples, self.step)
        ]
        self.x_NCHW = x_NCHW
        self.columns = offsets[1]
        self.padded_NwCRW = x_NCHW.new_zeros(self.step, *padded)
        self.images_wNCHW = self.padded_NwCRW[..., -first : height - first, :].unbind(1)
        pixels_NKP = self.padded_NwCRW.flatten(3).flatten(1, 2)
        starts = [(row - first) * width for row in offsets[0]]
        self.rows_hNKP = [pixels_NKP[..., start : start + count * width] for start in starts]

    def rows(self, chunk: slice) -> list[Tensor]:
        """Return the pixels (N, w * C, count * W) that each kernel row sees of some samples."""
        x_NCHW = self.x_NCHW[chunk]
        for image_NCHW, offset in zip(self.images_wNCHW, self.columns, strict=True):
            shift(x_NCHW, offset, image_NCHW[: len(x_NCHW)])
        return [row_NKP[: len(x_NCHW)] for row_NKP in self.rows_hNKP]


def shift(x_NCHW: Tensor, offset: int, out_NCHW: Tensor) -> None:
    """Copy an image so that column q holds column q + offset, or zero where there is none."""
    height, width = image_size(x_NCHW)
    # As one line of pixels it copies fast; what wraps around into another row is padding.
    length = max(height * width - abs(offset), 0)
    target, source = max(-offset, 0), max(offset, 0)
    line_NCP = x_NCHW.flatten(2)[..., source : source + length]
    out_NCHW.flatten(2)[..., target : target + length] = line_NCP
    if offset > 0:
        out_NCHW[..., max(width - offset, 0) :] = 0
    if offset < 0:
        out_NCHW[..., :-offset] = 0
