"""Time and memory of the attention-augmented convolution beside the straightforward one.

    python benchmarks/attention.py [--threads N] [--json FILE] [--dtype TYPE] [--cpu-time]

The straightforward form computes the logits of all pairs of pixels, adds the relative positions
from a gathered table of the same size, and keeps the softmax of it for the backward pass (Bello et
al. 2019, Section 3). Layers are those of AA-Wide-ResNet-28-10 on CIFAR; a forward and a backward
pass of each form is timed in turn, after their values and gradients have been compared. Where there
is a GPU, it measures there, with batches of 128 in bfloat16.
"""

from dataclasses import dataclass
from typing import Any

import torch
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
from torch import Tensor

from awlab.nn import AttentionAugmentedConv2d

LAYERS = [(160, 32), (320, 16), (640, 8)]
"""Channels and image size."""
HEADS = 8
BATCH_SIZE = {"cpu": 8, "cuda": 128}
DTYPE = {"cpu": "float32", "cuda": "bfloat16"}
SECONDS_PER_LAYER = 40


@dataclass(frozen=True)
class Row:
    """One form of one layer."""

    layer: str
    form: str
    ratio: float
    ratio_quartiles: tuple[float, float]
    median_seconds: float
    peak_bytes: int | None


class Straightforward(AttentionAugmentedConv2d):
    """Attention with a number for each pair of pixels."""

    def self_attention(self, x_NIHW: Tensor) -> Tensor:
        qkv_NqHW = self.qkv_conv(x_NIHW)
        height, width = qkv_NqHW.shape[2:]
        dims = (self.key_dims, self.key_dims, self.value_dims)
        q_NaPk, k_NaPk, v_NaPv = (
            part.unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)
            for part in qkv_NqHW.split(dims, 1)
        )
        q_NaPk = q_NaPk * (self.key_dims // self.heads) ** -0.5
        logits_NaPP = q_NaPk @ k_NaPk.transpose(2, 3)
        if self.key_rel_h is not None and self.key_rel_w is not None:
            logits_NaPP = logits_NaPP + relative(q_NaPk, self.key_rel_h, self.key_rel_w)
        y_NaPv = logits_NaPP.softmax(3) @ v_NaPv
        return self.out_conv(y_NaPv.transpose(2, 3).flatten(1, 2).unflatten(2, (height, width)))


def relative(q_NaPk: Tensor, key_rel_h: Tensor, key_rel_w: Tensor) -> Tensor:
    """Return what relative positions add to the logit of each pair of pixels (Eqs. 3 and 4)."""
    height, width = (len(key_rel_h) + 1) // 2, (len(key_rel_w) + 1) // 2
    q_NaHWk = q_NaPk.unflatten(2, (height, width))
    rows, columns = (torch.arange(length, device=q_NaPk.device) for length in (height, width))
    rel_HHk = key_rel_h[rows[None, :] - rows[:, None] + height - 1]
    rel_WWk = key_rel_w[columns[None, :] - columns[:, None] + width - 1]
    of_rows = torch.einsum("naijk,ihk->naijh", q_NaHWk, rel_HHk)[..., None]
    of_columns = torch.einsum("naijk,jwk->naijw", q_NaHWk, rel_WWk)[..., None, :]
    return (of_rows + of_columns).flatten(4).flatten(2, 3)


class Bench:
    """Both forms of a layer with the same weights, on one input."""

    def __init__(self, channels: int, size: int, options: Any) -> None:
        settings: dict[str, Any] = {
            "heads": HEADS,
            "key_dims": max(channels // 5, 20 * HEADS),
            "value_dims": channels // 10,
            "image_size": size,
        }
        ours = AttentionAugmentedConv2d(channels, channels, 3, padding=1, **settings)
        plain = Straightforward(channels, channels, 3, padding=1, **settings)
        plain.load_state_dict(ours.state_dict())
        place = {"device": options.device, "dtype": options.dtype}
        self.forms = {"(HW)^2": plain.to(**place), "awlab": ours.to(**place)}
        shape = (options.batch_size, channels, size, size)
        self.x = torch.randn(shape, **place, requires_grad=True)
        self.grad = torch.randn(shape, **place)
        self.name = f"{channels}@{size}x{size}"

    def run(self, form: str) -> tuple[Tensor, ...]:
        """Return output and gradients."""
        layer = self.forms[form]
        y = layer(self.x)
        return y, *torch.autograd.grad(y, [self.x, *layer.parameters()], self.grad)

    def check(self) -> None:
        """Compare values and gradients of the two forms."""
        rounding = torch.finfo(self.x.dtype).eps
        for ours, theirs in zip(self.run("awlab"), self.run("(HW)^2"), strict=True):
            tolerance = 300 * rounding * theirs.abs().max().item()
            torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)

    def measure(self, options: Any) -> list[Row]:
        """Time both forms in turn; then their memory."""
        steps = {form: lambda form=form: self.run(form) for form in self.forms}
        timings = in_turn(
            steps, rounds=options.rounds, seconds=SECONDS_PER_LAYER, cpu_time=options.cpu_time
        )
        return [
            Row(
                layer=self.name,
                form=form,
                ratio=timing.ratio,
                ratio_quartiles=timing.ratio_quartiles,
                median_seconds=timing.median_seconds,
                peak_bytes=peak_bytes(steps[form], options.device),
            )
            for form, timing in timings.items()
        ]


def main() -> None:
    """Check, measure, print."""
    options = parser(__doc__, rounds=15, dtypes=DTYPES).parse_args()
    options.batch_size = options.batch_size or BATCH_SIZE[options.device]
    options.dtype = getattr(torch, options.dtype or DTYPE[options.device])
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    about = environment(options, heads=str(HEADS))
    announce(about)
    print(f"\n{'layer':>11}  {'form':9}{'ratio':>7}{'quartiles':>14}{'ms':>9}{'peak MB':>9}")
    rows = []
    for channels, size in LAYERS:
        bench = Bench(channels, size, options)
        bench.check()
        for row in bench.measure(options):
            rows.append(row)
            lower, upper = row.ratio_quartiles
            print(
                f"{row.layer:>11}  {row.form:9}{row.ratio:7.2f}{lower:8.2f}{upper:6.2f}"
                f"{row.median_seconds * 1e3:9.1f}{megabytes(row.peak_bytes):>9}",
                flush=True,
            )
    write_json(options.json, about, rows)


if __name__ == "__main__":
    main()
