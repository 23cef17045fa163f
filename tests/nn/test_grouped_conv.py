import pytest
import torch

from awlab.nn import grouped_conv
from awlab.nn.geometry import Geometry


@pytest.mark.parametrize("shared", ["", "O", "I", "Oh", "Iw", "OIhw"])
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(padding=(1, 1)),
        Geometry(stride=(2, 1), padding=(0, 2), dilation=(1, 3)),
        Geometry(padding=(1, 0), groups=2),
    ],
)
def test_value_and_gradients(shared, geometry, operands):
    sizes = zip("OIhw", (6, 4 // geometry.groups, 3, 2), strict=True)
    gate = (3, *(1 if dim in shared else size for dim, size in sizes))
    drawn = operands(gate, geometry, channels=(6, 4), kernel=(3, 2))
    torch.testing.assert_close(grouped_conv.output(*drawn.inputs), drawn.y)
    gradients = grouped_conv.gradients(drawn.grad, *drawn.inputs)
    torch.testing.assert_close(gradients, drawn.gradients)


def test_blocks_of_consecutive_samples_share_a_gate(operands):
    drawn = operands((6, 4, 2, 3, 3), Geometry(padding=(1, 1)), channels=(4, 2))
    gate = drawn.gate[::3]
    each = gate.repeat_interleave(3, 0)
    x, weight, _, geometry = drawn.inputs
    by_block = grouped_conv.output(x, weight, gate, geometry)
    torch.testing.assert_close(by_block, grouped_conv.output(x, weight, each, geometry))
    *_, grad_gate = grouped_conv.gradients(drawn.grad, x, weight, gate, geometry)
    *_, grad_each = grouped_conv.gradients(drawn.grad, x, weight, each, geometry)
    torch.testing.assert_close(grad_gate, grad_each.unflatten(0, (2, 3)).sum(1))
