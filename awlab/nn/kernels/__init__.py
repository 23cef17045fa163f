"""The gated convolution as Triton kernels, for GPUs.

Imported where it is used, because Triton is not everywhere where torch is.
"""

import importlib.util
from functools import cache

import torch
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16)
"""Of mixed precision. In float32 the operator failed its test on a GPU: see docs/performance.md."""


def fits(x_NIHW: Tensor) -> bool:
    """Return whether the kernels can serve: on a GPU, in mixed precision, with Triton."""
    return x_NIHW.is_cuda and x_NIHW.dtype in DTYPES and has_triton()


@cache
def has_triton() -> bool:
    """Return whether Triton is installed."""
    return importlib.util.find_spec("triton") is not None
