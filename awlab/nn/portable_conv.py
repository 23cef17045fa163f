"""The gated convolution in operations that every exporter knows, for any gate and any batch.

No operation has the batch among its settings, as ONNX would have the groups of a convolution with a
group per sample; nothing is chosen by the number of samples, and the operations are few.
"""

# Shape suffixes: N batch, O out channels, I in channels (of one group where a weight or gate has
# it), H W image, P pixels, h w kernel, g groups, K = I*h*w.

import torch
import torch.nn.functional as F
from torch import Tensor

from awlab.nn.geometry import Geometry, image_size, kernel_size


def output(x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with gated weights: one matrix product per sample."""
    *sampling, groups = geometry
    channels, (height, width) = x_NIHW.shape[1], kernel_size(weight_OIhw)
    # What each tap sees, by kernels that let one pixel through.
    one_pixel_thw = torch.eye(height * width, dtype=x_NIHW.dtype, device=x_NIHW.device)
    kernels = one_pixel_thw.view(-1, 1, height, width).repeat(channels, 1, 1, 1)
    seen_NKHW = F.conv2d(x_NIHW, kernels, None, *sampling, groups=channels)
    seen_NgKP = seen_NKHW.flatten(2).unflatten(1, (groups, -1))
    gated_NgOK = (weight_OIhw * gate_NOIhw).flatten(2).unflatten(1, (groups, -1))
    size = geometry.output_size(image_size(x_NIHW), (height, width))
    return (gated_NgOK @ seen_NgKP).flatten(1, 2).unflatten(2, size)
