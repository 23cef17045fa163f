"""Adaptive average pooling as one matrix product."""

# Shape suffixes: N batch, I channels, H W image, h w pooled, P = H*W, p = h*w.

import torch
from torch import Tensor


def adaptive_average_pool(x_NIHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Average over the bins of `torch.nn.functional.adaptive_avg_pool2d`, in the same sizes.

    The bins are constants, so that pooling is a product with a matrix: its backward is
    deterministic on every device and every exporter knows it, which is not so for torch's own.
    """
    in_h_HH = bins(x_NIHW.shape[2], size[0], x_NIHW)
    in_w_WW = bins(x_NIHW.shape[3], size[1], x_NIHW)
    in_bin_Pp = torch.einsum("Hh,Ww->HWhw", in_h_HH, in_w_WW).flatten(2).flatten(0, 1)
    # Averages rather than sums leave the product: sums of many pixels overflow in float16.
    pooled_NIp = x_NIHW.flatten(2) @ (in_bin_Pp / in_bin_Pp.sum(0))
    return pooled_NIp.unflatten(2, size)


def bins(length: int, count: int, like: Tensor) -> Tensor:
    """Mark with 1 which of `length` positions lie in which of `count` bins: (length, count)."""
    position = torch.arange(length, device=like.device).unsqueeze(1)
    bin_ = torch.arange(count, device=like.device)
    start, end = bin_ * length // count, ((bin_ + 1) * length + count - 1) // count
    return ((start <= position) & (position < end)).to(like.dtype)
