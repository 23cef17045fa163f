import pytest
import torch

from awlab.nn.gated_conv import FORMS
from awlab.nn.geometry import Geometry


def test_is_an_operator_of_torch_in_the_interpreter(interpret):
    interpret("counted", "low_precision")


@pytest.mark.slow
def test_is_registered_as_torch_asks_for_and_compiles(interpret):
    interpret("registered", "differentiable", "compiled", "benchmarked")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shared", ["I", "O"])
@pytest.mark.parametrize(
    ("size", "stride"), [((9, 7), 1), ((9, 7), 2), ((16, 16), 1), ((20, 20), 1)]
)
def test_equals_the_grouped_form_on_a_gpu(dtype, shared, size, stride, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.manual_seed(0)
    geometry = Geometry(stride=(stride, stride), padding=(1, 1))
    gate = (3, 1, 72, 3, 3) if shared == "O" else (3, 100, 1, 3, 3)
    shapes = (3, 72, *size), (100, 72, 3, 3), gate
    factors = [torch.randn(s, device="cuda", dtype=dtype, requires_grad=True) for s in shapes]
    exact = [factor.detach().double().requires_grad_() for factor in factors]
    y = FORMS["fused"](factors[0], factors[1], factors[2], geometry)
    expected = FORMS["grouped"](exact[0], exact[1], exact[2], geometry)
    grad = torch.randn_like(y)
    ours = (y, *torch.autograd.grad(y, factors, grad))
    theirs = (expected, *torch.autograd.grad(expected, exact, grad.double()))
    for mine, other in zip(ours, theirs, strict=True):
        limit = 8 * torch.finfo(dtype).eps * other.abs().max().item()
        torch.testing.assert_close(mine.double(), other, rtol=0, atol=limit)
