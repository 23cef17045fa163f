"""That it is the literal sum, for every gate, is tested with the other forms."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from awlab.nn.gated_conv import choose
from awlab.nn.geometry import Geometry
from awlab.nn.portable_conv import output


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_is_the_literal_sum(literal_conv, groups, stride):
    geometry = Geometry(stride=stride, padding=(1, 2), dilation=(2, 1), groups=groups)
    torch.manual_seed(0)
    x = torch.randn(3, 4, 7, 6, dtype=torch.float64)
    weight = torch.randn(6, 4 // groups, 3, 2, dtype=torch.float64)
    gate = torch.randn(3, 6, 4 // groups, 3, 2, dtype=torch.float64)
    y = output(x, weight, gate, geometry)
    torch.testing.assert_close(y, literal_conv(x, gate * weight, geometry))


class Gated(nn.Module):
    """Notes what is chosen for a gate of that shape."""

    def __init__(self, gate: tuple[int, ...], kernel: int, chosen: list[str]) -> None:
        super().__init__()
        self.gate = gate
        self.kernel = kernel
        self.note = chosen.append

    def forward(self, x: Tensor) -> Tensor:
        weight = x.new_zeros(8, 8, self.kernel, self.kernel)
        self.note(choose(x, weight, x.new_zeros(x.shape[0], *self.gate), Geometry()))
        return x * 2


def chosen(gate: tuple[int, ...], kernel: int) -> str:
    """What is chosen while a network is exported."""
    names: list[str] = []
    image = torch.zeros(2, 8, 6, 6)
    torch.export.export(Gated(gate, kernel, names), (image,), strict=False)
    assert len(set(names)) == 1
    return names[0]


@pytest.mark.parametrize("shared", [*product((8, 1), (8, 1), (3, 1))])
def test_is_chosen_while_exporting_where_the_gate_does_not_commute(shared):
    outputs, inputs, taps = shared
    commutes = taps == 1 and 1 in (outputs, inputs)
    outside = "output_gate" if inputs == 1 else "input_gate"
    assert chosen((*shared, taps), kernel=3) == (outside if commutes else "portable")


def test_one_by_one_kernels_are_gated_outside_while_exporting():
    assert chosen((8, 1, 1, 1), kernel=1) == "output_gate"
