from itertools import chain, combinations

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from awlab.nn import AWConv2d, gated_conv
from awlab.nn.gated_conv import FORMS, choose, gated_conv2d
from awlab.nn.geometry import Geometry

SAMPLES, OUTPUTS, INPUTS, KERNEL = 3, 5, 4, (3, 2)
GEOMETRY = Geometry(stride=(1, 2), padding=(1, 2), dilation=(2, 1))
SAME = Geometry(padding=(1, 1))
SHARED = list(chain.from_iterable(combinations("NOIhw", count) for count in range(6)))


def gate_of(shared, kernel=KERNEL):
    sizes = zip("NOIhw", (SAMPLES, OUTPUTS, INPUTS, *kernel), strict=True)
    return tuple(1 if dim in shared else size for dim, size in sizes)


def legal_forms(gate):
    """The forms that can serve a gate, by its shape."""
    blocks, outputs, inputs, *taps = gate
    legal = {
        "one_weight": blocks == 1,
        "output_gate": inputs == 1 and taps == [1, 1],
        "input_gate": outputs == 1 and taps == [1, 1],
        "taps": 1 in (outputs, inputs),
        "grouped": True,
        "portable": True,
    }
    return [form for form, is_legal in legal.items() if is_legal]


def draw(gate, *, size=(6, 5), channels=(OUTPUTS, INPUTS), kernel=KERNEL, dtype=torch.float64):
    torch.manual_seed(0)
    drawing = {"dtype": dtype, "requires_grad": True}
    x = torch.randn(SAMPLES, channels[1], *size, **drawing)
    return x, torch.randn(*channels, *kernel, **drawing), torch.randn(gate, **drawing)


def differentiable(form, operands, geometry, **settings):
    def convolve(x, weight, gate):
        return FORMS[form](x, weight, gate, geometry)

    return torch.autograd.gradcheck(convolve, operands, **settings)


@pytest.mark.parametrize("shared", SHARED, ids="".join)
@pytest.mark.parametrize("geometry", [GEOMETRY, SAME], ids=["strided", "same"])
def test_every_form_is_the_literal_sum(shared, geometry, literal_conv):
    kernel = (3, 3) if geometry is SAME else KERNEL
    x, weight, gate = draw(gate_of(shared, kernel), kernel=kernel)
    expected = literal_conv(x, (weight * gate).expand(SAMPLES, *weight.shape), geometry)
    forms = legal_forms(gate.shape)
    assert choose(x, weight, gate, geometry) in forms
    for form in forms:
        y = FORMS[form](x, weight, gate, geometry)
        torch.testing.assert_close(y, expected, msg=lambda text, form=form: f"{form}: {text}")
        assert differentiable(form, (x, weight, gate), geometry, fast_mode=True), form


@pytest.mark.parametrize("form", ["taps", "grouped"])
def test_exact_gradients(form):
    operands = draw((SAMPLES, OUTPUTS, 1, 3, 3), size=(3, 4), kernel=(3, 3))
    assert differentiable(form, operands, SAME)


@pytest.mark.parametrize("form", ["taps", "grouped"])
def test_blocks_of_samples_share_a_gate(form):
    x, weight, gate = draw((SAMPLES, OUTPUTS, 1, 3, 3), kernel=(3, 3))
    x = x.repeat_interleave(2, 0)
    y = FORMS[form](x, weight, gate, SAME)
    torch.testing.assert_close(y, FORMS["grouped"](x, weight, gate.repeat_interleave(2, 0), SAME))


@pytest.mark.parametrize("shared", ["O", "I", "", "Ohw", "Ihw"])
def test_channel_groups(shared, literal_conv):
    geometry = SAME._replace(groups=2)
    sizes = zip("NOIhw", (SAMPLES, 6, 2, 3, 3), strict=True)
    gate_shape = tuple(1 if dim in shared else size for dim, size in sizes)
    x, weight, gate = draw(gate_shape, channels=(6, 4), kernel=(3, 3))
    weight = weight[:, :2]
    expected = literal_conv(x, weight * gate, geometry)
    torch.testing.assert_close(gated_conv2d(x, weight, gate, geometry), expected)


ALONG_C1 = (8, 128, 1, 3, 3)


@pytest.mark.parametrize(
    ("gate", "size", "geometry", "form"),
    [
        ((1, 128, 128, 3, 3), 16, SAME, "one_weight"),
        ((8, 128, 1, 1, 1), 16, SAME, "output_gate"),
        ((8, 1, 128, 1, 1), 16, SAME, "input_gate"),
        (ALONG_C1, 8, SAME, "taps"),
        ((8, 1, 128, 3, 3), 8, SAME, "taps"),
        (ALONG_C1, 16, SAME, "grouped"),
        ((8, 1, 128, 3, 3), 16, SAME, "grouped"),
        (ALONG_C1, 16, SAME._replace(stride=(2, 2)), "taps"),
        (ALONG_C1, 32, SAME._replace(stride=(2, 2)), "grouped"),
        (ALONG_C1, 16, SAME._replace(groups=2), "grouped"),
        ((8, 32, 1, 3, 3), 16, SAME, "grouped"),
        ((8, 32, 1, 3, 3), 8, SAME, "taps"),
        ((8, 128, 128, 3, 3), 8, SAME, "grouped"),
        ((8, 128, 128, 1, 1), 8, SAME, "grouped"),
    ],
)
def test_chooses_by_what_is_shared_and_by_shape(gate, size, geometry, form):
    outputs = 32 if gate[1] == 32 else 128
    x = torch.empty(8, 128, size, size)
    weight = torch.empty(outputs, 128 // geometry.groups, 3, 3)
    assert choose(x, weight, torch.empty(gate), geometry) == form


@pytest.mark.parametrize(("size", "form"), [(16, "grouped"), (8, "output_gate")])
def test_chooses_for_one_by_one_kernels(size, form):
    x, weight = torch.empty(8, 128, size, size), torch.empty(128, 128, 1, 1)
    assert choose(x, weight, torch.empty(8, 128, 1, 1, 1), Geometry()) == form


@pytest.mark.parametrize(
    ("dtype", "form"),
    [
        (torch.bfloat16, "fused"),
        (torch.float16, "fused"),
        (torch.float32, "taps"),
        (torch.float64, "taps"),
    ],
)
def test_chooses_kernels_on_a_gpu(dtype, form):
    pytest.importorskip("triton")
    with FakeTensorMode(), torch.device("cuda"):
        x, weight = torch.empty(8, 32, 9, 9, dtype=dtype), torch.empty(64, 32, 3, 3, dtype=dtype)
        gate = torch.empty(8, 64, 1, 3, 3, dtype=dtype)
        assert choose(x, weight, gate, SAME) == form


def test_counts_operations_on_the_meta_device():
    x, weight = torch.empty(8, 128, 8, 8, device="meta"), torch.empty(128, 128, 3, 3, device="meta")
    with FlopCounterMode(display=False) as counter:
        y = gated_conv2d(x, weight, torch.empty(ALONG_C1, device="meta"), SAME)
    assert y.shape == x.shape
    assert counter.get_total_flops() == 2 * y.numel() * weight[0].numel()


# Taps skip the padding: of 4x4 pixels the corner taps see 3x3, the edge taps 3x4.
SEEN_BY_TAPS = 4 * 9 + 4 * 12 + 16


@pytest.mark.parametrize(
    ("form", "forwards", "backwards"),
    # Taps are computed again for the gate's gradient. torch counts too much for grouped weights.
    [
        ("taps", SEEN_BY_TAPS, 3 * SEEN_BY_TAPS),
        ("grouped", 9 * 16, None),
    ],
)
def test_operations_of_every_form_are_counted(form, forwards, backwards):
    operands = draw((SAMPLES, OUTPUTS, 1, 3, 3), size=(4, 4), kernel=(3, 3))
    with FlopCounterMode(display=False) as counter:
        y = FORMS[form](*operands, SAME)
    assert counter.get_total_flops() == 2 * SAMPLES * OUTPUTS * INPUTS * forwards
    with FlopCounterMode(display=False) as counter:
        y.sum().backward()
    if backwards is not None:
        assert counter.get_total_flops() == 2 * SAMPLES * OUTPUTS * INPUTS * backwards


@pytest.mark.parametrize("form", ["taps", "grouped", "output_gate"])
def test_keeps_no_sample_weights_and_no_taps(form):
    constant = form == "output_gate"
    gate = (SAMPLES, 16, 1, 1, 1) if constant else (SAMPLES, 16, 1, 3, 3)
    operands = draw(gate, size=(4, 4), channels=(16, 24), kernel=(3, 3))
    kept = []

    def keep(tensor):
        kept.append(tensor.untyped_storage().nbytes() // tensor.element_size())
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        y = FORMS[form](*operands, SAME)
    limit = {operand.numel() for operand in operands} | ({y.numel()} if constant else set())
    assert kept
    assert set(kept) <= limit
    assert max(kept) < SAMPLES * 16 * 24 * 9


@pytest.mark.parametrize("form", ["taps", "grouped"])
def test_refuses_a_second_derivative(form):
    x, weight, gate = draw((SAMPLES, OUTPUTS, 1, 3, 3), kernel=(3, 3))
    y = FORMS[form](x, weight, gate, SAME)
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("shared", ["I", "O", "", "Ihw", "NI"])
def test_autocast_computes_as_for_a_convolution(shared):
    x, weight, gate = draw(gate_of(shared, (3, 3)), kernel=(3, 3), dtype=torch.float32)
    expected = gated_conv2d(x, weight, gate, SAME)
    with torch.autocast("cpu", torch.bfloat16):
        y = gated_conv2d(x, weight, gate, SAME)
        double = gated_conv2d(x.double(), weight.double(), gate.double(), SAME)
    assert y.dtype == torch.bfloat16
    assert double.dtype == torch.float64
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.3)
    y.sum().backward()
    for operand in (x, weight, gate):
        assert operand.grad is not None
        assert operand.grad.dtype == torch.float32


@pytest.mark.parametrize("form", ["taps", "grouped"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_low_precision_is_near(form, dtype):
    operands = draw((SAMPLES, OUTPUTS, 1, 3, 3), kernel=(3, 3))
    x, weight, gate = (operand.detach().to(dtype) for operand in operands)
    y = FORMS[form](x, weight, gate, SAME)
    expected = FORMS["grouped"](x.double(), weight.double(), gate.double(), SAME)
    tolerance = 0.1 if dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(y.double(), expected, rtol=tolerance, atol=tolerance)


def train(form, monkeypatch):
    """Ten steps of a network whose convolutions are forced into a form: losses and weights."""
    if form is not None:
        by_shape = gated_conv.choose

        def choose(*operands):
            chosen = by_shape(*operands)
            return chosen if chosen in ("one_weight", "output_gate", "input_gate") else form

        monkeypatch.setattr(gated_conv, "choose", choose)
    torch.manual_seed(0)
    network = nn.Sequential(
        AWConv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        AWConv2d(16, 24, 3, padding=1, expand={"c2": "full"}),
        nn.ReLU(),
        AWConv2d(24, 16, 3, padding=1),
        nn.Flatten(),
        nn.Linear(16 * 36, 5),
    ).double()
    x, labels = torch.randn(8, 3, 6, 6).double(), torch.arange(8) % 5
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    losses = []
    for _ in range(10):
        loss = nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, network.state_dict()


def test_ten_steps_of_training_are_the_same_whichever_form_runs(monkeypatch):
    losses, weights = train(None, monkeypatch)
    assert losses[-1] < losses[0]
    for form in ("taps", "grouped"):
        with monkeypatch.context() as patch:
            others, other_weights = train(form, patch)
        assert others == pytest.approx(losses, rel=1e-9)
        torch.testing.assert_close(other_weights, weights, rtol=1e-8, atol=1e-10)
