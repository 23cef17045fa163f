"""Time and memory of AWConv2d beside Conv2d, and beside other ways to compute the same.

    python benchmarks/aw_conv.py [--threads N] [--json FILE] [--dtype TYPE] [--expand c1=full]
                                 [--shapes 64@32 ...] [--cpu-time]

For every shape: a forward and a backward pass of each layer, in turn, round after round, so that
what else the machine does meets them all alike. The ratio is that to Conv2d in the same round:
its median and its quartiles. Memory is what a pass takes at most beyond what exists before it, and
what the layer keeps between forward and backward beside input and parameters. Before anything is
timed, values and gradients of every form are compared with those of a loop over the samples.

Layers: Conv2d; AWConv2d as it chooses; AWConv2d made to take one form (`awlab.nn.gated_conv`), and
`at once`, the grouped form of the whole batch, as it is done elsewhere; the loop; timm's CondConv2d
with four experts, when timm is installed. Needs torch only. Where there is
a GPU, it measures there, with batches of 128 in channels_last and bfloat16.
"""

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from measure import (
    DTYPES,
    announce,
    environment,
    in_turn,
    megabytes,
    parser,
    peak_bytes,
    write_json,
)
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from awlab.nn import AWConv2d, gated_conv, grouped_conv
from awlab.nn.aw_conv import F2

try:
    import timm
    from timm.layers.cond_conv2d import CondConv2d
except ImportError:
    timm = CondConv2d = None

SHAPES = [(64, 32), (128, 16), (256, 8), (512, 4), (64, 56), (128, 28), (256, 14), (512, 7)]
"""Channels and image size of the 3x3 convolutions of ResNet50, on CIFAR and on ImageNet."""
BATCH_SIZE = {"cpu": 32, "cuda": 128}
DTYPE = {"cpu": "float32", "cuda": "bfloat16"}
FORMS = {"taps": "taps", "grouped": "grouped", "at once": "grouped"}
"""As they are printed, and as they are called."""
SECONDS_PER_SHAPE = 20


@dataclass(frozen=True)
class Row:
    """One layer at one shape."""

    shape: str
    layer: str
    ratio: float
    ratio_quartiles: tuple[float, float]
    median_seconds: float
    peak_bytes: int | None
    kept_bytes: int
    rounds: int


class Loop(AWConv2d):
    """The definition: each sample is convolved by itself."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        maps = self.attention_maps(input).expand(len(input), *self.weight.shape)
        weights = (F2[self.f2](maps) * self.weight).to(input.dtype)
        pairs = zip(input, weights, strict=True)
        return torch.stack([F.conv2d(x, weight, padding=1) for x, weight in pairs])


class Routed(nn.Module):
    """timm's CondConv2d with the routing of Yang et al. (2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        assert CondConv2d is not None
        self.route = nn.Linear(channels, 4)
        self.conv = CondConv2d(channels, channels, 3, padding=1, num_experts=4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, self.route(x.mean((2, 3))).sigmoid())


class Bench:
    """The layers of one shape, on one input."""

    def __init__(self, channels: int, size: int, options: Namespace) -> None:
        settings: dict[str, Any] = {"padding": 1, "bias": False}
        attention = AWConv2d(channels, channels, 3, **settings, expand=options.expand)
        loop = Loop(channels, channels, 3, **settings, expand=options.expand)
        loop.load_state_dict(attention.state_dict())
        self.layers: dict[str, nn.Module] = {
            "Conv2d": nn.Conv2d(channels, channels, 3, **settings),
            "AWConv2d": attention,
            **{f"  {form}": attention for form in FORMS},
            "  loop": loop,
        }
        if timm is not None:
            self.layers["CondConv2d"] = Routed(channels)
        layout = torch.channels_last if options.device == "cuda" else torch.contiguous_format
        place = {"device": options.device, "dtype": options.dtype, "memory_format": layout}
        for layer in self.layers.values():
            layer.to(**place)
        shape = (options.batch_size, channels, size, size)
        self.x = torch.randn(shape).to(**place).requires_grad_()
        self.grad = torch.randn(shape).to(**place)
        self.name = f"{channels}@{size}x{size}"

    def forms(self) -> list[str]:
        """Names of the layers that can be made for this shape, without the loop."""
        return [f"  {form}" for form in FORMS if self.can(form)]

    def can(self, form: str) -> bool:
        """Return whether a form fits what is shared."""
        attention = self.layers["AWConv2d"]
        assert isinstance(attention, AWConv2d)
        return form != "taps" or "full" in (attention.expand.get(c) for c in ("c1", "c2"))

    def run(self, layer: str) -> tuple[Tensor, ...]:
        """Return output and gradients of a layer."""
        form = layer.strip()
        with forced(form) if form in FORMS else nullcontext():
            y = self.layers[layer](self.x)
            parameters = list(self.layers[layer].parameters())
            return y, *torch.autograd.grad(y, [self.x, *parameters], self.grad)

    def check(self) -> None:
        """Compare every form with the loop over the samples."""
        expected = self.run("  loop")
        rounding = torch.finfo(self.x.dtype).eps
        for layer in ["AWConv2d", *self.forms()]:
            for ours, loops in zip(self.run(layer), expected, strict=True):
                tolerance = 300 * rounding * loops.abs().max().item()
                torch.testing.assert_close(ours, loops, rtol=0, atol=tolerance)

    def measure(self, options: Namespace) -> list[Row]:
        """Time all layers in turn, after the check has warmed them up; then their memory."""
        names = ["Conv2d", "AWConv2d", *self.forms(), "  loop", "CondConv2d"]
        steps = {name: lambda name=name: self.run(name) for name in names if name in self.layers}
        timings = in_turn(
            steps, rounds=options.rounds, seconds=SECONDS_PER_SHAPE, cpu_time=options.cpu_time
        )
        return [
            Row(
                shape=self.name,
                layer=name.strip(),
                ratio=timing.ratio,
                ratio_quartiles=timing.ratio_quartiles,
                median_seconds=timing.median_seconds,
                peak_bytes=peak_bytes(steps[name], options.device),
                kept_bytes=self.kept_bytes(name),
                rounds=timing.rounds,
            )
            for name, timing in timings.items()
        ]

    def kept_bytes(self, layer: str) -> int:
        """Memory that waits for the backward pass, without input and parameters."""
        given = {t.untyped_storage().data_ptr() for t in (self.x, *self.layers[layer].parameters())}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in given:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            self.run(layer)
        return sum(kept.values())


@contextmanager
def forced(form: str) -> Iterator[None]:
    """Make AW-convolutions take a form."""
    elements = sys.maxsize if form == "at once" else grouped_conv.ELEMENTS_PER_CHUNK
    with (
        patch.object(gated_conv, "choose", lambda *_: FORMS[form]),
        patch.object(grouped_conv, "ELEMENTS_PER_CHUNK", elements),
    ):
        yield


def main() -> None:
    """Check, measure, print."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    expand = " ".join(f"{dim}={ratio}" for dim, ratio in options.expand.items()) or "nothing"
    about = environment(
        options, expand=expand, timm=timm.__version__ if timm is not None else "missing"
    )
    announce(about)
    head = f"{'shape':>11}  {'layer':11}{'ratio':>7}{'quartiles':>14}{'ms':>8}"
    print(f"\n{head}{'peak MB':>9}{'kept MB':>9}")
    rows = []
    for channels, size in options.shapes:
        bench = Bench(channels, size, options)
        bench.check()
        for row in bench.measure(options):
            rows.append(row)
            show(row)
    write_json(options.json, about, rows)


def parse_options() -> Namespace:
    """Read the command line."""
    options = parser(__doc__, rounds=15, dtypes=DTYPES)
    options.add_argument("--expand", nargs="*", default=["c1=full"], metavar="DIM=RATIO")
    options.add_argument("--shapes", nargs="*", metavar="CHANNELS@SIZE")
    options = options.parse_args()
    options.batch_size = options.batch_size or BATCH_SIZE[options.device]
    options.dtype = getattr(torch, options.dtype or DTYPE[options.device])
    pairs = (argument.split("=") for argument in options.expand)
    options.expand = {dim: int(ratio) if ratio.isdecimal() else ratio for dim, ratio in pairs}
    shapes = [shape.split("@") for shape in options.shapes or ()]
    options.shapes = [(int(channels), int(size)) for channels, size in shapes] or SHAPES
    return options


def show(row: Row) -> None:
    """Print one line of the table."""
    lower, upper = row.ratio_quartiles
    indent = "  " if row.layer in (*FORMS, "loop") else ""
    memory = f"{megabytes(row.peak_bytes):>9}{row.kept_bytes / 2**20:9.1f}"
    print(
        f"{row.shape:>11}  {indent + row.layer:11}{row.ratio:7.2f}{lower:8.2f}{upper:6.2f}"
        f"{row.median_seconds * 1e3:8.1f}{memory}",
        flush=True,
    )


if __name__ == "__main__":
    main()
