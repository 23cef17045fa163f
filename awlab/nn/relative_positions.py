"""Relative positions of pixels, for attention (Bello et al., ICCV 2019, Eq. 3)."""

# Shape suffixes: a any number of leading dims, P = H W pixels, H W image, k dims of a query,
# R = H + W.

from typing import Any

import torch
from torch import Tensor


def relative_logits(q_aPk: Tensor, rel_h: Tensor, rel_w: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logit of each query with each of the H rows, and with each of the W columns.

    The logits with all pixels are the sums of both: H + W numbers per pixel in the place of H W.

    Args:
        q_aPk: Queries.
        rel_h: r^H: (2 H - 1, k); row d + H - 1 belongs to keys d rows below the query.
        rel_w: r^W: (2 W - 1, k), likewise.
    """
    height, width = (len(rel_h) + 1) // 2, (len(rel_w) + 1) // 2
    # Row y of the windowed table, r[y' - y] for y' = 0..H-1, begins at H - 1 - y.
    rel_HkH = rel_h.unfold(0, height, 1).flip(0)
    rel_WkW = rel_w.unfold(0, width, 1).flip(0)
    q_aHWk = q_aPk.unflatten(-2, (height, width))
    rows_aHWH = torch.einsum("...yxk,ykj->...yxj", q_aHWk, rel_HkH)
    columns_aHWW = torch.einsum("...yxk,xkj->...yxj", q_aHWk, rel_WkW)
    return rows_aHWH.flatten(-3, -2), columns_aHWW.flatten(-3, -2)


def codes(height: int, width: int, like: Tensor) -> Tensor:
    """Return the one-hot codes of each pixel's row and column: (P, R)."""
    codes: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    return torch.cat(
        (
            torch.eye(height, **codes).repeat_interleave(width, 0),
            torch.eye(width, **codes).repeat(height, 1),
        ),
        1,
    )
