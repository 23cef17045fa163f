"""The Expand function of Eq. 8: neighbours along a dim share one attention value."""

# Shape suffixes: N batch, O out channels, I in channels (of one group), h w kernel.

import re
from collections.abc import Mapping
from typing import Literal, get_args

from torch import Tensor

Dim = Literal["n", "c2", "c1", "h", "w"]
Expand = Mapping[Dim, int | str]
"""Dim of A: (N, C2, C1, h, w) -> how many neighbours share one value: a number, a fraction of the
dim such as `1/4`, or `full`, all of them."""

DIMS: tuple[Dim, ...] = get_args(Dim)
FRACTION = re.compile(r"1/([1-9][0-9]*)")


def check_ratio(dim: str, ratio: object, size: int | None = None) -> None:
    """Refuse a ratio that is no divisor of the dim's size (None: known only with the batch).

    Raises:
        ValueError: When the dim or the ratio is illegal.
    """
    if dim not in DIMS:
        raise ValueError(f"expand has the unknown dim {dim!r}; expected some of {', '.join(DIMS)}")
    if ratio == "full":
        return
    parts = _parts(ratio)
    if parts is None and (not isinstance(ratio, int) or isinstance(ratio, bool) or ratio < 1):
        raise ValueError(
            f"expand ratio of {dim} (={ratio!r}) must be a positive integer, a fraction such as "
            "'1/4', or 'full'"
        )
    if size is not None and size % (parts or int(str(ratio))):
        divisors = [n for n in range(1, size + 1) if size % n == 0]
        allowed = ", ".join(f"1/{n}" if parts else str(n) for n in divisors)
        raise ValueError(
            f"expand ratio of {dim} (={ratio}) must divide its size (={size}); "
            f"allowed: {allowed} or 'full'"
        )


def shared_sizes(expand: Expand, sizes: Mapping[Dim, int]) -> dict[Dim, int]:
    """Return for each dim in `sizes` how many values differ along it."""

    def shared(dim: Dim) -> int:
        ratio = expand.get(dim, 1)
        if ratio == "full":
            return 1
        return _parts(ratio) or sizes[dim] // int(ratio)

    return {dim: shared(dim) for dim in sizes}


def _parts(ratio: object) -> int | None:
    """Return into how many blocks a fraction divides a dim; None for what is no fraction."""
    fraction = FRACTION.fullmatch(ratio) if isinstance(ratio, str) else None
    return int(fraction[1]) if fraction else None


def repeat_blocks(maps_NOIhw: Tensor, sizes: Mapping[Dim, int]) -> Tensor:
    """Repeat each value in a block of neighbours until every dim has its size (Eq. 8).

    A dim of size 1 stays 1 and is left to broadcasting, so that a map that is shared along a
    whole dim never costs the memory of that dim.
    """
    for position, dim in enumerate(DIMS):
        shared = maps_NOIhw.shape[position]
        if dim in sizes and 1 < shared < sizes[dim]:
            maps_NOIhw = (
                maps_NOIhw.unsqueeze(position + 1)
                .expand(
                    *maps_NOIhw.shape[: position + 1],
                    sizes[dim] // shared,
                    *maps_NOIhw.shape[position + 1 :],
                )
                .flatten(position, position + 1)
            )
    return maps_NOIhw
