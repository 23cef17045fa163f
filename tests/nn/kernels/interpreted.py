"""Checks that run where TRITON_INTERPRET=1 (see conftest): `python -m interpreted CHECK ...`."""

import sys
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from awlab.nn.geometry import Geometry, image_size
from awlab.nn.kernels.gradients import weight_and_gate_gradients
from awlab.nn.kernels.operator import gated_conv2d, operands
from awlab.nn.kernels.product import gated_product

SIDES = ("outputs", "inputs")
CASES = [
    # samples, out channels, in channels, image, kernel, geometry; a tile has 16 of each
    (2, 5, 3, (4, 6), (3, 3), Geometry(padding=(1, 1))),
    (3, 20, 18, (4, 5), (3, 2), Geometry((2, 1), (1, 2), (1, 2))),
    (1, 17, 33, (3, 4), (2, 2), Geometry(padding=(1, 1))),
    (2, 36, 34, (5, 3), (2, 2), Geometry((1, 3), (2, 1), (2, 1), groups=2)),
    (2, 4, 6, (7, 4), (1, 1), Geometry((3, 2))),
    # A tile of 16 pixels is of one sample, of two, of many.
    (3, 4, 5, (4, 4), (3, 3), Geometry(padding=(1, 1))),
    (3, 4, 5, (5, 5), (3, 3), Geometry(padding=(1, 1))),
    (40, 3, 2, (1, 1), (1, 2), Geometry(padding=(0, 1))),
    # Some taps see nothing but padding.
    (1, 2, 2, (2, 3), (3, 3), Geometry(padding=(4, 4), dilation=(4, 4))),
]
SMALL = (2, 3, 2, (3, 3), (2, 2), Geometry(padding=(1, 1)))
PLAIN = (2, 20, 18, (3, 4), (3, 3), Geometry(padding=(1, 1)))


def draw(case: tuple, side: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return input, weight and gate."""
    samples, outputs, inputs, size, kernel, geometry = case
    torch.manual_seed(0)
    per_group = inputs // geometry.groups
    gate = (outputs, 1) if side == "outputs" else (1, per_group)
    shapes = (samples, inputs, *size), (outputs, per_group, *kernel), (samples, *gate, *kernel)
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def by_definition(x: Tensor, weight: Tensor, gate: Tensor, geometry: Geometry) -> Tensor:
    """Convolve each sample with its own gated weights."""
    samples = zip(x, gate, strict=True)
    return torch.stack([F.conv2d(x_IHW, weight * one, None, *geometry) for x_IHW, one in samples])


def by_kernels(x: Tensor, weight: Tensor, gate: Tensor, geometry: Geometry) -> Tensor:
    """Call the operator."""
    places = map(list, geometry[:3])
    return gated_conv2d(x, weight, gate, *places, geometry.groups)


def every_case() -> Iterator[tuple[tuple, str]]:
    """Yield cases and sides."""
    for case in CASES:
        for side in SIDES:
            yield case, side


def product() -> None:
    """The first kernel is the convolution; transposed it is the gradient of its input."""
    for case, side in every_case():
        x, weight, gate = draw(case, side)
        geometry = case[-1]
        y = by_definition(x, weight, gate, geometry)
        grad = torch.randn_like(y)
        (grad_x,) = torch.autograd.grad(y, x, grad)
        _, weight_OIT, gate_NCT, _, on_output = arranged(x, weight, gate, geometry)
        ours = gated_product(
            last(x),
            weight_OIT,
            gate_NCT,
            image_size(y),
            geometry,
            case[4],
            gates_result=on_output,
            transposed=False,
        )
        torch.testing.assert_close(ours, y.detach())
        ours = gated_product(
            last(grad),
            weight_OIT,
            gate_NCT,
            image_size(x),
            geometry,
            case[4],
            gates_result=not on_output,
            transposed=True,
        )
        torch.testing.assert_close(ours, grad_x)


def gradients() -> None:
    """The second kernel is the gradients of weight and gate."""
    for case, side in every_case():
        x, weight, gate = draw(case, side)
        geometry = case[-1]
        y = by_definition(x, weight, gate, geometry)
        grad = torch.randn_like(y)
        expected = torch.autograd.grad(y, (weight, gate), grad)
        _, weight_OIT, gate_NCT, _, on_output = arranged(x, weight, gate, geometry)
        of_weight, of_gate = weight_and_gate_gradients(
            last(grad), last(x), weight_OIT, gate_NCT, geometry, case[4], gates_output=on_output
        )
        of_weight = of_weight.transpose(1, 2).reshape(weight.shape)
        of_gate = of_gate.transpose(1, 2).reshape(gate.shape)
        torch.testing.assert_close((of_weight, of_gate), expected)


def differentiable() -> None:
    """The operator's gradients are those of its values."""
    for side in SIDES:
        x, weight, gate = draw(SMALL, side)

        def convolve(*factors: Tensor) -> Tensor:
            return by_kernels(*factors, SMALL[-1])  # pyright: ignore[reportCallIssue]

        assert torch.autograd.gradcheck(convolve, (x, weight, gate), fast_mode=True)


def registered() -> None:
    """Shapes, layouts and gradients are registered as torch asks for."""
    for side in SIDES:
        arguments = (*draw(SMALL, side, torch.float32), [1, 1], [1, 1], [1, 1], 1)
        torch.library.opcheck(gated_conv2d, arguments)


def compiled() -> None:
    """A compiled graph holds the operator whole, and gives what it gives."""

    def double(*factors: Tensor) -> Tensor:
        return 2 * by_kernels(*factors, PLAIN[-1])  # pyright: ignore[reportCallIssue]

    factors = draw(PLAIN, "outputs", torch.float32)
    y = torch.compile(double, backend="aot_eager", fullgraph=True)(*factors)
    torch.testing.assert_close(y, double(*factors))
    grad = torch.randn_like(y)
    ours = torch.autograd.grad(y, factors, grad)
    torch.testing.assert_close(ours, torch.autograd.grad(double(*factors), factors, grad))


def counted() -> None:
    """Operations are counted as those of an ordinary convolution."""
    x, weight, gate = draw(PLAIN, "inputs", torch.float32)
    with FlopCounterMode(display=False) as counter:
        y = by_kernels(x, weight, gate, PLAIN[-1])
    operations = 2 * y.numel() * weight[0].numel()
    assert counter.get_total_flops() == operations
    with FlopCounterMode(display=False) as counter:
        y.sum().backward()
    assert counter.get_total_flops() == 2 * operations


def low_precision() -> None:
    """Sums are kept in float32 where operands have fewer digits."""
    for dtype in (torch.float16, torch.float32):  # the interpreter multiplies no bfloat16
        for side in SIDES:
            factors = draw(PLAIN, side, dtype)
            y = by_kernels(*factors, PLAIN[-1])  # pyright: ignore[reportCallIssue]
            grad = torch.randn_like(y)
            gradients = torch.autograd.grad(y, factors, grad)
            exact = [factor.detach().double().requires_grad_() for factor in factors]
            expected = by_definition(*exact, PLAIN[-1])  # pyright: ignore[reportCallIssue]
            expected_gradients = torch.autograd.grad(expected, exact, grad.double())
            pairs = zip((y, *gradients), (expected, *expected_gradients), strict=True)
            for ours, theirs in pairs:
                assert ours.dtype == dtype
                limit = 4 * torch.finfo(dtype).eps * theirs.abs().max().item()
                torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=limit)


def tuning() -> None:
    """The interpreter gets one kind of tile, and sums keep enough digits."""
    from awlab.nn.kernels import tuning

    assert tuning.INTERPRETED
    (config,) = tuning.configs({"BLOCK_P": 128}, {"BLOCK_P": 64}, warps=(4, 8))
    assert config.kwargs == {"BLOCK_P": 16}
    assert tuning.choices([config, config], {"x": torch.empty(0)}) == [config, config]
    assert tuning.sum_dtype(torch.empty(0, dtype=torch.bfloat16)) == torch.float32
    assert tuning.sum_dtype(torch.empty(0, dtype=torch.float64)) == torch.float64


def benchmarked() -> None:
    """What is timed beside cuDNN gives what per-sample convolutions give."""
    from benchmarks.kernels import Bench

    torch.manual_seed(0)
    Bench(18, 5, samples=4, dtype=torch.float16, device="cpu").check()


def arranged(x: Tensor, weight: Tensor, gate: Tensor, geometry: Geometry) -> tuple:
    """Arrange operands as the operator does."""
    factors = (factor.detach() for factor in (x, weight, gate))
    return operands(*factors, *map(list, geometry[:3]), geometry.groups)  # pyright: ignore[reportCallIssue]


def last(x: Tensor) -> Tensor:
    """Lay out an image for the kernels."""
    return x.detach().contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        globals()[name]()
