"""Adaptive average pooling as one matrix product."""

# Shape suffixes: N batch, I channels, H W image, h w pooled, P = H*W, p = h*w, C
# all channels of all samples.

from functools import lru_cache

import torch
from torch import Tensor, nn

from awlab.nn.geometry import Size, image_size

MOST_KEPT = 256


def adaptive_average_pool(x_NIHW: Tensor, size: Size) -> Tensor:
    """Average over the bins of `torch.nn.functional.adaptive_avg_pool2d`, in the same sizes.

    The bins are constants, so that pooling is a product with a matrix: its backward is
    deterministic on every device and every exporter knows it, which is not so for torch's own.
    The result is laid out as the image is.
    """
    averages_Pp = _averages(x_NIHW, size)
    if x_NIHW.is_contiguous():
        # Few rows by many columns: a CPU does the transposed product in three times the time.
        pooled_pC = averages_Pp.t() @ x_NIHW.flatten(2).flatten(0, 1).t()
        return pooled_pC.t().contiguous().view(*x_NIHW.shape[:2], *size)
    # Channels-last, where matmul would copy the image; bmm does not.
    averages_NpP = averages_Pp.t().expand(len(x_NIHW), -1, -1)
    return torch.bmm(averages_NpP, x_NIHW.flatten(2).mT).mT.unflatten(2, size)


def _averages(x_NIHW: Tensor, size: Size) -> Tensor:
    """Return the matrix, kept where it can be: to make it takes ten times as many operations."""
    place = (image_size(x_NIHW), size, x_NIHW.dtype, x_NIHW.device)
    real = type(x_NIHW) in (Tensor, nn.Parameter) and not torch.compiler.is_compiling()
    return _kept(*place) if real else average_matrix(*place)


@lru_cache(MOST_KEPT)
def _kept(image: Size, size: Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(mode=False):  # It may be needed where gradients are.
        return average_matrix(image, size, dtype, device)


def average_matrix(image: Size, size: Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the weight of each pixel in each bin: (P, p)."""
    in_h_Hh, in_w_Ww = (bins(*lengths, device) for lengths in zip(image, size, strict=True))
    in_bin_Pp = (in_h_Hh[:, None, :, None] & in_w_Ww[:, None]).flatten(2).flatten(0, 1)
    # Averages rather than sums leave the product: sums of many pixels overflow in float16.
    exact = torch.promote_types(dtype, torch.float32)
    return (in_bin_Pp.to(exact) / in_bin_Pp.sum(0)).to(dtype)


def bins(length: int, count: int, device: torch.device) -> Tensor:
    """Tell which of `length` positions lie in which of `count` bins: (length, count)."""
    position = torch.arange(length, device=device).unsqueeze(1)
    bin_ = torch.arange(count, device=device)
    start, end = bin_ * length // count, ((bin_ + 1) * length + count - 1) // count
    return (start <= position) & (position < end)
