"""What may replace a convolution."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from awlab.spec.base import Family

Dim = Literal["n", "c2", "c1", "h", "w"]
"""A dimension of the attention maps A: (N, C2, C1, h, w)."""

FRACTION = r"^1/([2-9]|[1-9][0-9]+)$"


def _as_fraction(text: str) -> str:
    if not re.fullmatch(FRACTION, text):
        raise PydanticCustomError("fraction", "Input should be a fraction of the dim such as '1/4'")
    return text


Fraction = Annotated[
    str, AfterValidator(_as_fraction), Field(json_schema_extra={"pattern": FRACTION})
]
"""Of a dim: `1/4` is a quarter of it."""


class Conv(Family):
    """A convolution that takes the place of an ordinary one; `null` keeps the ordinary one."""


class AWConvolution(Conv):
    """AW-convolution: attention maps in the shape of the weights (Zhu et al., Eqs. 4-8)."""

    kind: Literal["aw"] = "aw"
    expand: dict[Dim, int | Literal["full"] | Fraction] = Field(default={"c1": "full"})
    """Dims along which blocks of this many neighbours share one attention value (Eq. 8); `1/4` is
    a quarter of the dim, whatever its size in a layer, and `full` the whole dim. `{c1: full}` is
    the paper's, `{}` shares nothing."""
    f2: Literal["residual", "product"] = "residual"
    """F2: `residual` is K + A*K (Eq. 6), `product` is A*K."""
    reduction: int = Field(default=16, ge=1)
    """r: the bottleneck of F1 has `max(C2 // r, min_hidden)` channels."""
    min_hidden: int = Field(default=1, ge=1)
    """Fewest channels of the bottleneck of F1."""
    norm: Literal["batch", "layer"] = "batch"
    """Of F1: `batch` is the paper's; `layer` normalises each image by itself. In a 1x1 convolution
    `batch` sees one value of each image, and of two it leaves but a sign: at one or two images per
    device take `layer`."""

    @field_validator("expand")
    @classmethod
    def _ratios_share_something(cls, expand: dict[Dim, int | str]) -> dict[Dim, int | str]:
        for dim, ratio in expand.items():
            if isinstance(ratio, int) and ratio < 2:
                raise ValueError(
                    f"ratio of {dim} (={ratio}) must be at least 2 or 'full'; leave the dim out to "
                    "share nothing along it"
                )
        return {dim: expand[dim] for dim in ("n", "c2", "c1", "h", "w") if dim in expand}


class CondConvolution(Conv):
    """CondConv (Yang et al. 2019): a sum of kernels for each image, from timm (extra `zoo`)."""

    kind: Literal["condconv"] = "condconv"
    experts: int = Field(default=4, ge=2)
    """Kernels that are summed; weights of a layer are multiplied by as many."""
