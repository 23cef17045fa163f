from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from awlab.nn.geometry import Geometry


def literal_conv(x_NIHW: Tensor, weight_NOIhw: Tensor, geometry: Geometry) -> Tensor:
    """Eq. 5, pixel by pixel and tap by tap: sample n is convolved with weight n."""
    (stride_h, stride_w), (top, left), (dilation_h, dilation_w), groups = geometry
    samples, outputs, inputs, *kernel = weight_NOIhw.shape
    height, width = x_NIHW.shape[2:]
    count = geometry.output_size((height, width), (kernel[0], kernel[1]))
    x, weight = x_NIHW.tolist(), weight_NOIhw.tolist()

    def pixel(n: int, o: int, row: int, column: int) -> float:
        total, first = 0.0, o // (outputs // groups) * inputs
        for i, j, k in product(range(inputs), range(kernel[0]), range(kernel[1])):
            at = row * stride_h + j * dilation_h - top
            to = column * stride_w + k * dilation_w - left
            if 0 <= at < height and 0 <= to < width:
                total += x[n][first + i][at][to] * weight[n][o][i][j][k]
        return total

    shape = (samples, outputs, *count)
    pixels = [pixel(*index) for index in product(*map(range, shape))]
    return torch.tensor(pixels, dtype=torch.float64).view(shape)


@pytest.fixture(name="literal_conv")
def literal_conv_fixture() -> Callable[[Tensor, Tensor, Geometry], Tensor]:
    return literal_conv


def sample_by_sample(
    x_NIHW: Tensor, weight_OIhw: Tensor, gate_NOIhw: Tensor, geometry: Geometry
) -> Tensor:
    """The convolution of each sample with its gated weights, for autograd."""
    samples = zip(x_NIHW, gate_NOIhw, strict=True)
    return torch.stack(
        [F.conv2d(x_IHW, weight_OIhw * gate_OIhw, None, *geometry) for x_IHW, gate_OIhw in samples]
    )


@dataclass
class Operands:
    """What a gated convolution works on, and what it has to give."""

    x: Tensor
    weight: Tensor
    gate: Tensor
    geometry: Geometry
    grad: Tensor
    y: Tensor
    gradients: tuple[Tensor, ...]

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Geometry]:
        """The arguments of every form."""
        return self.x, self.weight, self.gate, self.geometry


@pytest.fixture
def operands() -> Callable[..., Operands]:
    """Draw operands in float64, with the results by the definition."""

    def draw(
        gate: tuple[int, ...],
        geometry: Geometry,
        size: tuple[int, int] = (5, 7),
        channels: tuple[int, int] = (5, 3),
        kernel: tuple[int, int] = (3, 3),
    ) -> Operands:
        torch.manual_seed(0)
        outputs, inputs = channels
        shapes = (gate[0], inputs, *size), (outputs, inputs // geometry.groups, *kernel), gate
        x, weight, gates = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
        factors = [tensor.clone().requires_grad_() for tensor in (x, weight, gates)]
        y = sample_by_sample(factors[0], factors[1], factors[2], geometry)
        grad = torch.randn_like(y)
        gradients = torch.autograd.grad(y, factors, grad)
        return Operands(x, weight, gates, geometry, grad, y.detach(), gradients)

    return draw
