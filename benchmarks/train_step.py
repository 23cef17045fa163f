"""Time and memory of training steps of whole networks, and what the forms of layers are worth.

    python benchmarks/train_step.py [GROUP ...] [--compile] [--threads N] [--json FILE] [--cpu-time]

Groups:

    resnet50     ResNet50 of CIFAR, AW-ResNet50, and the same with grouped convolutions
    wide         Wide-ResNet-28-10, AA-Wide-ResNet-28-10 as here and with the straightforward
                 attention, and with AW-convolutions beside the attention (AW-AA)

A step is what training does with one batch: forwards, loss, backwards, SGD with momentum. The steps
of a group run in turn. Before that, loss and gradients of networks that only differ in form are
compared, in float64. Where there is a GPU, it measures there, with batches of 128, channels-last
under bfloat16 autocast, with a fused optimizer.

--compile times the networks of a group once more, all of them through torch.compile: their ratios
are to the first network compiled. To compile them takes many minutes on a CPU.
"""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from attention import Straightforward
from measure import (
    announce,
    environment,
    in_turn,
    megabytes,
    parser,
    peak_bytes,
    write_json,
)
from torch import Tensor, nn

from awlab.models.aa_wide_resnet import aa_wide_resnet
from awlab.models.resnet import ResNet
from awlab.models.wide_resnet import wide_resnet
from awlab.nn import AttentionAugmentedConv2d, AWConv2d, gated_conv, grouped_conv

BATCH_SIZE = {
    "cpu": {"resnet50": 32, "wide": 8},
    "cuda": {"resnet50": 128, "wide": 128},
}
GROUPS = ("resnet50", "wide")
SECONDS_PER_GROUP = 90
CLASSES, SIZE = 100, 32


@dataclass(frozen=True)
class Row:
    """One network."""

    group: str
    network: str
    ratio: float
    ratio_quartiles: tuple[float, float]
    median_seconds: float
    images_per_second: float
    peak_bytes: int | None


class Step:
    """A training step of one network on one batch."""

    def __init__(
        self,
        network: nn.Module,
        batch: tuple[Tensor, Tensor],
        form: Any,
        *,
        compiled: bool = False,
    ) -> None:
        self.network = network
        self.compute = torch.compile(network) if compiled else network
        self.compiled = compiled
        self.images, self.labels = batch
        self.form = form
        fused = True if self.images.is_cuda else None
        self.optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, fused=fused)

    def __call__(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()

    def loss(self) -> Tensor:
        """Return the loss, computed by the form."""
        on_gpu = self.images.is_cuda
        with (
            self.form(),
            torch.autocast("cuda", torch.bfloat16) if on_gpu else nullcontext(),
        ):
            logits = self.compute(self.images)
        return F.cross_entropy(logits.float(), self.labels)

    def results(self) -> list[Tensor]:
        """Return loss and gradients."""
        loss = self.loss()
        return [loss, *torch.autograd.grad(loss, list(self.network.parameters()))]


@contextmanager
def grouped() -> Iterator[None]:
    """Make AW-convolutions take the grouped form, of the whole batch, where they would choose."""
    choose = gated_conv.choose

    def choose_grouped(*operands: Any) -> str:
        form = choose(*operands)
        return form if form in ("one_weight", "output_gate", "input_gate") else "grouped"

    with (
        patch.object(gated_conv, "choose", choose_grouped),
        patch.object(grouped_conv, "ELEMENTS_PER_CHUNK", sys.maxsize),
    ):
        yield


@contextmanager
def straightforward() -> Iterator[None]:
    """Make attention-augmented convolutions compute with all pairs of pixels."""
    attention = Straightforward.self_attention
    with patch.object(AttentionAugmentedConv2d, "self_attention", attention):
        yield


def networks(group: str) -> dict[str, tuple[nn.Module, Any]]:
    """Return the networks of a group, and the form in which each computes."""
    if group == "resnet50":
        make = partial(ResNet, 50, num_classes=CLASSES, stem="cifar")
        attended = make(conv=AWConv2d)
        return {
            "ResNet50": (make(), nullcontext),
            "AW-ResNet50": (attended, nullcontext),
            "AW-ResNet50, grouped": (attended, grouped),
        }
    augment = partial(
        aa_wide_resnet,
        28,
        10,
        num_classes=CLASSES,
        image_size=SIZE,
        heads=8,
        dims=lambda channels: (max(channels // 5, 160), channels // 10),
        qkv_kernel_size=1,
    )
    augmented = augment()
    return {
        "WRN-28-10": (wide_resnet(28, 10, num_classes=CLASSES), nullcontext),
        "AA-WRN-28-10": (augmented, nullcontext),
        "AA-WRN-28-10, (HW)^2": (augmented, straightforward),
        "AW-AA-WRN-28-10": (augment(second_conv=AWConv2d), nullcontext),
    }


def steps_of(group: str, device: str, batch_size: int) -> dict[str, Step]:
    """Build the steps of a group."""
    layout = torch.channels_last if device == "cuda" else torch.contiguous_format
    images = torch.randn(batch_size, 3, SIZE, SIZE, device=device)
    batch = (
        images.contiguous(memory_format=layout),
        torch.arange(batch_size, device=device),
    )
    return {
        name: Step(network.to(device=device, memory_format=layout), batch, form)
        for name, (network, form) in networks(group).items()
    }


def compiled(steps: dict[str, Step]) -> dict[str, Step]:
    """Return the steps of a group compiled and compared, without those in another form."""
    others = {}
    for name, step in steps.items():
        if step.form is nullcontext:
            batch = (step.images, step.labels)
            others[f"{name}, compiled"] = Step(step.network, batch, step.form, compiled=True)
            compare(step, others[f"{name}, compiled"])
    return others


def check(steps: dict[str, Step]) -> None:
    """Compare loss and gradients of the steps that have one network.

    On a CPU in float64 and for two images: in float32 rounding grows to a percent on the way
    through fifty layers. The kernels of a GPU have no float64, and are compared by their loss; so
    is what is compiled, once and for its batch.
    """
    for name, step in steps.items():
        for other_name, other in steps.items():
            if name < other_name and step.network is other.network:
                compare(step, other)


def compare(step: Step, other: Step) -> None:
    """Refuse two forms of a network that give different results."""
    if step.images.is_cuda or step.compiled or other.compiled:
        torch.testing.assert_close(step.loss(), other.loss(), rtol=0.05, atol=0.05)
        return
    step.network.double()
    images, labels = step.images[:2].double(), step.labels[:2]
    exact = [Step(each.network, (images, labels), each.form).results() for each in (step, other)]
    torch.testing.assert_close(*exact, rtol=1e-6, atol=1e-6)
    step.network.float()


def parse_options() -> Namespace:
    """Read the command line."""
    options = parser(__doc__, rounds=9)
    options.add_argument(
        "group", nargs="*", type=group_name, metavar="GROUP", help="resnet50, wide; default: both"
    )
    options.add_argument(
        "--compile", action="store_true", help="time the networks through torch.compile, too"
    )
    options = options.parse_args()
    options.group = options.group or list(GROUPS)
    options.dtype = "bfloat16" if options.device == "cuda" else "float32"
    return options


def group_name(name: str) -> str:
    """Read the name of a group; `choices` of argparse would refuse that there is none."""
    if name not in GROUPS:
        raise ArgumentTypeError(f"no group {name!r}: there are {' and '.join(GROUPS)}")
    return name


def main() -> None:
    """Check, measure, print."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    about = environment(options)
    announce(about)
    print(
        f"\n{'network':26}{'batch':>6}{'ratio':>7}{'quartiles':>14}{'ms':>9}{'images/s':>10}"
        f"{'peak MB':>9}"
    )
    rows = []
    for group in options.group:
        batch_size = options.batch_size or BATCH_SIZE[options.device][group]
        steps = steps_of(group, options.device, batch_size)
        check(steps)
        rows += measure(group, steps, options)
        if options.compile:
            rows += measure(group, compiled(steps), options)
    write_json(options.json, about, rows)


def measure(group: str, steps: dict[str, Step], options: Namespace) -> list[Row]:
    """Time steps in turn, and print what was found."""
    for step in steps.values():
        step()
    timings = in_turn(
        steps, rounds=options.rounds, seconds=SECONDS_PER_GROUP, cpu_time=options.cpu_time
    )
    rows = []
    for name, timing in timings.items():
        batch_size = len(steps[name].images)
        row = Row(
            group=group,
            network=name,
            ratio=timing.ratio,
            ratio_quartiles=timing.ratio_quartiles,
            median_seconds=timing.median_seconds,
            images_per_second=batch_size / timing.median_seconds,
            peak_bytes=peak_bytes(steps[name], options.device),
        )
        rows.append(row)
        lower, upper = row.ratio_quartiles
        print(
            f"{name:26}{batch_size:6}{row.ratio:7.2f}{lower:8.2f}{upper:6.2f}"
            f"{row.median_seconds * 1e3:9.0f}{row.images_per_second:10.1f}"
            f"{megabytes(row.peak_bytes):>9}",
            flush=True,
        )
    return rows


if __name__ == "__main__":
    main()
