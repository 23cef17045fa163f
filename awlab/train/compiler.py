"""torch.compile, where it can."""

import atexit
import os
import shutil
import tempfile

import torch
from torch import nn

from awlab.spec.errors import InputError


def compile_in_place(network: nn.Module) -> None:
    """Have a network called through torch.compile from now on.

    Names of weights stay, and so checkpoints fit either way; random numbers stay, and so dropout
    does the same.
    """
    network.compile(options={"fallback_random": True})


def check_compiler(device: torch.device) -> None:
    """Compile next to nothing, so that what is missing is missed before hours are spent.

    Raises:
        InputError: When torch.compile does not work for the device.
    """
    if device.type == "cpu":
        _keep_code_apart()
    try:
        torch.compile(_next_to_nothing)(torch.zeros(2, device=device))
    except Exception as error:  # A missing compiler, headers or Triton: each raises its own.
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            "runtime.compile (=true) needs what torch.compile needs, a C++ compiler and, on a GPU, "
            f"Triton: install it, or leave the setting out. torch says: {reason}"
        ) from error


def _keep_code_apart() -> None:
    """Share no compiled code with other processes, unless the caller's environment says where.

    A compiler for CPUs that is killed leaves half a library, which the next process would load.
    """
    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="awlab-compiled-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder


def _next_to_nothing(values: torch.Tensor) -> torch.Tensor:
    return values + 1
