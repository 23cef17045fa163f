"""Sizes of tiles: those that are tried on a GPU, and tiny ones for Triton's interpreter."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs

INTERPRETED = bool(knobs.runtime.interpret)


def configs(*sizes: dict[str, int], warps: tuple[int, ...]) -> list[triton.Config]:
    """Return what the tuner tries; the interpreter takes tiles that tiny shapes overlap."""
    if INTERPRETED:
        return [triton.Config(dict.fromkeys(sizes[0], 16))]
    pairs = zip(sizes, warps, strict=True)
    return [triton.Config(tiles, num_warps=count, num_stages=3) for tiles, count in pairs]


def first_if_deterministic(
    candidates: list[triton.Config], *_: Any, **__: Any
) -> list[triton.Config]:
    """Try nothing where the order of additions has to be the same in every run."""
    return candidates[:1] if torch.are_deterministic_algorithms_enabled() else candidates


def numerics(x: Tensor) -> dict[str, Any]:
    """Return how kernels multiply and add: as torch's own convolutions do with this dtype."""
    return {
        "PRECISION": "tf32" if torch.backends.cudnn.allow_tf32 else "ieee",
        "SUM": tl.float64 if x.dtype == torch.float64 else tl.float32,
    }


def sum_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype of sums that leave a kernel unfinished."""
    return torch.promote_types(x.dtype, torch.float32)
