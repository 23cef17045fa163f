from itertools import chain

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from awlab.nn import tap_conv
from awlab.nn.geometry import Geometry

SAMPLES, OUTPUTS, INPUTS = 4, 5, 3
GATES = {"outputs": (SAMPLES, OUTPUTS, 1), "inputs": (SAMPLES, 1, INPUTS)}
CASES = [
    (Geometry(padding=(1, 1)), (3, 3)),
    (Geometry(stride=(2, 3), padding=(1, 2), dilation=(1, 2)), (2, 4)),
    (Geometry(stride=(1, 2), padding=(2, 0)), (1, 1)),
    # Some taps see nothing but padding.
    (Geometry(padding=(7, 7), dilation=(7, 7)), (3, 3)),
]


@pytest.mark.parametrize("side", GATES)
@pytest.mark.parametrize(("geometry", "kernel"), CASES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("elements", [2**14, 400])
@pytest.mark.parametrize("by_samples", [False, True])
def test_value_and_gradients(
    side, geometry, kernel, layout, elements, by_samples, operands, monkeypatch
):
    monkeypatch.setattr(tap_conv, "ELEMENTS_PER_CHUNK", elements)
    monkeypatch.setattr(tap_conv, "FEWEST_PIXELS", 0 if by_samples else 1000)
    monkeypatch.setattr(tap_conv, "WEIGHTS_PER_CHUNK", 1)
    drawn = operands((*GATES[side], *kernel), geometry, kernel=kernel)
    drawn.x = drawn.x.contiguous(memory_format=layout)
    y_NOHW = tap_conv.output(*drawn.inputs)
    torch.testing.assert_close(y_NOHW, drawn.y)
    assert y_NOHW.is_contiguous(memory_format=layout)
    gradients = tap_conv.gradients(drawn.grad, *drawn.inputs)
    torch.testing.assert_close(gradients, drawn.gradients)


def test_gradient_of_a_sum(operands):
    drawn = operands((*GATES["outputs"], 3, 3), Geometry(padding=(1, 1)))
    one = torch.ones((), dtype=torch.float64).expand_as(drawn.grad)
    for by_one, by_copy in zip(
        tap_conv.gradients(one, *drawn.inputs),
        tap_conv.gradients(one.contiguous(), *drawn.inputs),
        strict=True,
    ):
        assert torch.equal(by_one, by_copy)


@pytest.mark.parametrize(
    ("size", "dtype", "products"),
    [
        ((5, 7), torch.float64, 4),
        ((6, 7), torch.float64, 3),
        ((6, 7), torch.float32, 3),
        ((6, 7), torch.bfloat16, 4),  # whose products are cheap beside passes over memory
    ],
)
def test_many_pixels_save_a_product(size, dtype, products, operands):
    geometry = Geometry()
    drawn = operands((*GATES["outputs"], 1, 1), geometry, size=size, kernel=(1, 1))
    x, weight, gate = (factor.to(dtype) for factor in drawn.inputs[:3])
    with FlopCounterMode(display=False) as counter:
        tap_conv.output(x, weight, gate, geometry)
        tap_conv.gradients(drawn.grad.to(dtype), x, weight, gate, geometry)
    one = 2 * SAMPLES * OUTPUTS * INPUTS * size[0] * size[1]
    assert counter.get_total_flops() == products * one


def test_multiplies_no_padding():
    columns = tap_conv.columns_of(Geometry(padding=(1, 1)), (4, 4), (4, 4), (3, 3))
    taps = chain.from_iterable(columns)
    pixels = {tap.position: len(range(4)[tap.at_b[0]]) * len(range(4)[tap.at_b[1]]) for tap in taps}
    assert pixels[1, 1] == 16
    assert pixels[0, 1] == pixels[1, 2] == 12
    assert pixels[0, 0] == pixels[2, 0] == 9
