"""The kernels' arithmetic, without a GPU: in Triton's interpreter, in processes of their own.

Triton decides when it is imported whether it interprets, and other tests may have imported it.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def interpret() -> Callable[..., None]:
    """Return what runs functions of a file of checks where kernels are interpreted."""
    pytest.importorskip("triton")

    settings = {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    settings["PYTHONPATH"] = str(Path(__file__).parents[3])  # the benchmarks are there

    def run(*checks: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "interpreted", *checks],
            cwd=Path(__file__).parent,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture
def compile_for_gpu() -> Callable[..., None]:
    """Return what compiles a kernel for a GPU (compute capability 9.0) that need not be there."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    def compile_kernel(kernel: Any, pointers: dict[str, str], constants: dict[str, Any]) -> None:
        config, function = kernel.configs[0], kernel.fn
        known = constants | config.kwargs
        constants = {name: known[name] for name in function.arg_names if name in known}
        signature = {
            name: pointers.get(name, "constexpr" if name in constants else "i32")
            for name in function.arg_names
        }
        places = {(function.arg_names.index(name),): value for name, value in constants.items()}
        source = ASTSource(fn=function, signature=signature, constexprs=places)
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
        assert compiled.asm["cubin"]

    return compile_kernel


@pytest.fixture
def constants() -> dict[str, Any]:
    """What a kernel is told about an ordinary 3x3 convolution with a gate on its outputs."""
    import triton.language as tl

    names = ("STRIDE_H", "STRIDE_W", "PADDING_H", "PADDING_W", "DILATION_H", "DILATION_W")
    sizes = {"KERNEL_H": 3, "KERNEL_W": 3, "GROUPS": 1, "GATE_CHANNELS": 72, "GATE_STEP": 0}
    images = {"ALIGNMENT": 1, "AT_LEAST": 32}
    return dict.fromkeys(names, 1) | sizes | images | {"PRECISION": "tf32", "SUM": tl.float32}
