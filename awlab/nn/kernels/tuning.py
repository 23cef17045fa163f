"""Sizes of tiles: those that are tried on a GPU, and tiny ones for Triton's interpreter."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import knobs

INTERPRETED = bool(knobs.runtime.interpret)
NARROWEST = 32
"""Channels of the result in a tile that serves any number of them."""
MOST_BYTES = 128 * 128 * 2
"""Of a tile of the result, in the format of the operands: wider ones spill their sums."""
ROW = 128
"""Most bytes of a pixel in a step: more of them leave too little room for several steps ahead."""


def configs(*sizes: dict[str, int], warps: tuple[int, ...]) -> list[triton.Config]:
    """Return what the tuner tries; the interpreter takes tiles that tiny shapes overlap."""
    if INTERPRETED:
        return [triton.Config(dict.fromkeys(sizes[0], 16))]
    pairs = zip(sizes, warps, strict=True)
    return [triton.Config(tiles, num_warps=count, num_stages=3) for tiles, count in pairs]


def choices(
    candidates: list[triton.Config], arguments: dict[str, Any], **constants: Any
) -> list[triton.Config]:
    """Try what registers hold and channels fill.

    Only the first of it where the order of additions has to be the same in every run.
    """
    bytes_each = next(x.element_size() for x in arguments.values() if isinstance(x, Tensor))
    widest = max(NARROWEST, triton.next_power_of_2(constants.get("RESULT_CHANNELS", NARROWEST)))

    def fits(tile: dict[str, int]) -> bool:
        pixels, results = tile["BLOCK_P"], tile.get("BLOCK_R", NARROWEST)
        in_registers = pixels * results * bytes_each <= MOST_BYTES
        return in_registers and results <= widest and tile.get("BLOCK_S", 0) * bytes_each <= ROW

    fitting = [config for config in candidates if INTERPRETED or fits(config.kwargs)]
    return fitting[:1] if torch.are_deterministic_algorithms_enabled() else fitting


def numerics(x: Tensor) -> dict[str, Any]:
    """Return how kernels multiply and add: as torch's own convolutions do with this dtype."""
    return {
        "PRECISION": "tf32" if torch.backends.cudnn.allow_tf32 else "ieee",
        "SUM": tl.float64 if x.dtype == torch.float64 else tl.float32,
    }


def sum_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype of sums that leave a kernel unfinished."""
    return torch.promote_types(x.dtype, torch.float32)
