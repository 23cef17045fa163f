"""The Triton kernels beside cuDNN's convolution, pass by pass, without what launching them takes.

    python benchmarks/kernels.py [--shapes 64@32 ...] [--dtype float16] [--batch-size N]
                                 [--json FILE]

For the 3x3 convolutions of ResNet50: output, gradient of the input, gradients of weight and gate,
each captured in a CUDA graph and replayed, over the same pass of cuDNN without a gate (channels
last, autotuned). Before anything is timed, all values are compared with those of per-sample
convolutions in float32. Tiles are compiled in as many processes as there are cores, then tuned one
shape after the other. Needs a GPU, torch and Triton.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SHAPES = [(64, 32), (128, 16), (256, 8), (512, 4), (64, 56), (128, 28), (256, 14), (512, 7)]
"""Channels and image size of the 3x3 convolutions of ResNet50, on CIFAR and on ImageNet."""
PLACES = ([1, 1], [1, 1], [1, 1])
"""Stride, padding and dilation."""
CHECKED = 4
"""Samples that are compared."""


@dataclass(frozen=True)
class Row:
    """One pass at one shape."""

    shape: str
    computes: str
    library_microseconds: float
    microseconds: float
    ratio: float
    teraflops: float


class Bench:
    """Both convolutions of one shape, on one input."""

    def __init__(
        self, channels: int, size: int, *, samples: int, dtype: torch.dtype, device: str = "cuda"
    ) -> None:
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        image = (samples, channels, size, size)
        self.x, self.grad = (last(torch.randn(image, **place)) for _ in range(2))
        self.weight = last(torch.randn(channels, channels, 3, 3, **place) / (9 * channels) ** 0.5)
        maps_NhwO = torch.rand(samples, 3, 3, channels, **place)
        self.gate = 1 + maps_NhwO.permute(0, 3, 1, 2)[:, :, None]
        self.name = f"{channels}@{size}x{size}"
        self.operations = 2 * self.x.numel() * self.weight[0].numel()

    def ours(self) -> dict[str, Callable[[], tuple[Tensor, ...]]]:
        """The passes of the kernels."""
        from awlab.nn.geometry import Geometry
        from awlab.nn.kernels.gradients import weight_and_gate_gradients
        from awlab.nn.kernels.product import gated_product

        kernel, geometry = (3, 3), Geometry(padding=(1, 1))
        size = (self.x.shape[2], self.x.shape[3])
        factors = self.weight.flatten(2), self.gate[:, :, 0].flatten(2)

        def product(source: Tensor, *, transposed: bool) -> tuple[Tensor, ...]:
            sides = {"gates_result": not transposed, "transposed": transposed}
            return (gated_product(source, *factors, size, geometry, kernel, **sides),)

        return {
            "output": lambda: product(self.x, transposed=False),
            "input": lambda: product(self.grad, transposed=True),
            "weight": lambda: weight_and_gate_gradients(
                self.grad, self.x, *factors, geometry, kernel, gates_output=True
            ),
        }

    def library(self) -> dict[str, Callable[[], object]]:
        """The same passes of cuDNN, without a gate."""

        def backward(of: str) -> object:
            operands = (self.grad, self.x, self.weight, None, *PLACES, False, [0, 0], 1)
            mask = [of == name for name in ("input", "weight", "bias")]
            return torch.ops.aten.convolution_backward(*operands, mask)

        return {
            "output": lambda: F.conv2d(self.x, self.weight, None, 1, 1),
            "input": lambda: backward("input"),
            "weight": lambda: backward("weight"),
        }

    def check(self) -> None:
        """Compare with per-sample convolutions in float32."""
        samples = slice(0, CHECKED)
        self.x, self.grad, self.gate = (
            part[samples].clone(memory_format=torch.preserve_format)
            for part in (self.x, self.grad, self.gate)
        )
        x, weight, gate = (
            part.float().requires_grad_() for part in (self.x, self.weight, self.gate)
        )
        pairs = zip(x, gate * weight, strict=True)
        y = torch.stack([F.conv2d(one, kernel, padding=1) for one, kernel in pairs])
        grads = torch.autograd.grad(y, (x, weight, gate), self.grad.float())
        passes = self.ours()
        grad_OTI, grad_NTC = passes["weight"]()
        found = (
            *passes["output"](),
            *passes["input"](),
            grad_OTI.transpose(1, 2).reshape(weight.shape),
            grad_NTC.transpose(1, 2).reshape(gate.shape),
        )
        rounding = torch.finfo(self.x.dtype).eps
        for mine, exact in zip(found, (y, *grads), strict=True):
            error = (mine.float() - exact).norm() / exact.norm()
            assert error < 2 * rounding, f"{self.name}: off by {error:.1e}"


def last(x: Tensor) -> Tensor:
    """Lay out an image, or a weight, for both."""
    return x.contiguous(memory_format=torch.channels_last)


def main() -> None:
    """Compile, check, measure, print."""
    options = parse_options()
    if not torch.cuda.is_available():
        sys.exit("benchmarks/kernels.py needs a GPU, and torch sees none")
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    if options.compile_part:
        compile_tiles(options)
        return
    import triton
    from measure import announce, write_json

    compile_everything()
    about = {
        "device": torch.cuda.get_device_name(),
        "batch": options.batch_size,
        "dtype": options.dtype,
        "triton": triton.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    announce(about)
    print(f"\n{'shape':>11}  {'pass':8}{'cuDNN us':>9}{'us':>8}{'ratio':>7}{'TFLOP/s':>9}")
    rows = []
    for shape in options.shapes:
        make(shape, options).check()
        for row in measure(make(shape, options)):
            rows.append(row)
            print(
                f"{row.shape:>11}  {row.computes:8}{row.library_microseconds:9.1f}"
                f"{row.microseconds:8.1f}{row.ratio:7.2f}{row.teraflops:9.0f}",
                flush=True,
            )
    write_json(options.json, about, rows)


def make(shape: tuple[int, int], options: argparse.Namespace) -> Bench:
    """Draw the operands of a shape."""
    return Bench(*shape, samples=options.batch_size, dtype=getattr(torch, options.dtype))


def measure(bench: Bench) -> Iterator[Row]:
    """Time every pass of both."""
    from triton.testing import do_bench_cudagraph

    library = bench.library()
    for name, step in bench.ours().items():
        pair = step, library[name]
        for call in pair:  # tunes, before the capture
            call()
        ours, theirs = (1e3 * do_bench_cudagraph(call, return_mode="median") for call in pair)
        yield Row(
            shape=bench.name,
            computes=name,
            library_microseconds=theirs,
            microseconds=ours,
            ratio=ours / theirs,
            teraflops=bench.operations / ours / 1e6,
        )


def compile_everything() -> None:
    """Have tiles compiled by other processes: Triton keeps them on the disk."""
    cores = len(os.sched_getaffinity(0))
    command = [sys.executable, *sys.argv, "--compile-part"]
    children = [subprocess.Popen([*command, f"{part}/{cores}"]) for part in range(cores)]
    codes = [child.wait() for child in children]
    if any(codes):
        sys.exit("a process that compiles kernels failed")


def compile_tiles(options: argparse.Namespace) -> None:
    """Launch each kernel with its part of the tiles, which compiles them."""
    from awlab.nn.kernels.gradients import gradients_kernel
    from awlab.nn.kernels.product import product_kernel

    part, parts = map(int, options.compile_part.split("/"))
    kernels = {kernel: list(kernel.configs) for kernel in (product_kernel, gradients_kernel)}
    tiles = range(max(map(len, kernels.values())))
    jobs = [(shape, tile) for shape in options.shapes for tile in tiles]
    for shape, tile in jobs[part::parts]:
        for kernel, candidates in kernels.items():
            kernel.configs = [candidates[tile % len(candidates)]]
            kernel.cache.clear()
        for step in make(shape, options).ours().values():
            step()


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--batch-size", type=int, default=128)
    options.add_argument("--dtype", choices=["bfloat16", "float16"], default="bfloat16")
    options.add_argument("--shapes", nargs="*", metavar="CHANNELS@SIZE")
    options.add_argument("--json", type=Path, metavar="FILE")
    options.add_argument("--compile-part", help=argparse.SUPPRESS)  # of the processes it starts
    options = options.parse_args()
    shapes = [shape.split("@") for shape in options.shapes or ()]
    options.shapes = [(int(channels), int(size)) for channels, size in shapes] or SHAPES
    return options


if __name__ == "__main__":
    main()
