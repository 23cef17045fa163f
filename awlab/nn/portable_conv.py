"""The gated convolution in operations that every exporter knows, for any gate and any batch.

Pads, slices and matrix products, tap by tap: nothing is chosen by shape, no operation has the batch
among its settings, as the groups of a convolution would be in ONNX.
"""

# Shape suffixes: N batch, O out channels, I in channels (of one group where a weight or gate has
# it), H W image, P pixels, h w kernel, g groups.

from itertools import product

import torch.nn.functional as F
from torch import Tensor

from awlab.nn.geometry import Geometry, image_size, kernel_size


def output(x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with gated weights."""
    (stride_h, stride_w), (top, left), (dilation_h, dilation_w), groups = geometry
    kernel = kernel_size(weight_OIhw)
    height, width = geometry.output_size(image_size(x_NIHW), kernel)
    x_NIHW = F.pad(x_NIHW, (left, left, top, top))
    gate_NOIhw = gate_NOIhw.expand(-1, -1, -1, *kernel)
    parts = []
    for row, column in product(*map(range, kernel)):
        first_h, first_w = row * dilation_h, column * dilation_w
        seen_NIHW = x_NIHW[
            :,
            :,
            first_h : first_h + (height - 1) * stride_h + 1 : stride_h,
            first_w : first_w + (width - 1) * stride_w + 1 : stride_w,
        ]
        gated_NOI = weight_OIhw[:, :, row, column] * gate_NOIhw[..., row, column]
        seen_NgIP = seen_NIHW.flatten(2).unflatten(1, (groups, -1))
        parts.append(gated_NOI.unflatten(1, (groups, -1)) @ seen_NgIP)
    y_NgOP = sum(parts[1:], parts[0])
    return y_NgOP.flatten(1, 2).unflatten(2, (height, width))
