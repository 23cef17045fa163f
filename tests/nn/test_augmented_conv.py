import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from awlab.nn import block_attention
from awlab.nn.augmented_conv import AttentionAugmentedConv2d
from awlab.nn.location import LayerError


def layer(**changes) -> AttentionAugmentedConv2d:
    arguments = {
        "in_channels": 3,
        "out_channels": 10,
        "kernel_size": 3,
        "stride": 1,
        "padding": 1,
        "heads": 2,
        "key_dims": 6,
        "value_dims": 4,
        "image_size": (3, 5),
    }
    torch.manual_seed(0)
    return AttentionAugmentedConv2d(**(arguments | changes)).double()


def literal_attention(aa: AttentionAugmentedConv2d, x: Tensor) -> Tensor:
    """MHA(X) of Bello et al., Eqs. 2-4, one head and one query pixel after the other."""
    qkv = aa.qkv_conv(x)
    samples, _, height, width = qkv.shape
    dk, dv = aa.key_dims, aa.value_dims
    key_dims, value_dims = dk // aa.heads, dv // aa.heads
    pixels = [(y, x) for y in range(height) for x in range(width)]
    out = torch.zeros(samples, dv, height, width, dtype=x.dtype)
    for n in range(samples):
        for head in range(aa.heads):
            keys = slice(dk + head * key_dims, dk + (head + 1) * key_dims)
            values = slice(2 * dk + head * value_dims, 2 * dk + (head + 1) * value_dims)
            for iy, ix in pixels:
                query = qkv[n, head * key_dims : (head + 1) * key_dims, iy, ix]
                logits = []
                for jy, jx in pixels:
                    key = qkv[n, keys, jy, jx]
                    if aa.key_rel_h is not None and aa.key_rel_w is not None:
                        key = key + aa.key_rel_h[jy - iy + height - 1]
                        key = key + aa.key_rel_w[jx - ix + width - 1]
                    logits.append(query @ key / math.sqrt(key_dims))
                weights = torch.stack(logits).softmax(0)
                out[n, head * value_dims : (head + 1) * value_dims, iy, ix] = sum(
                    weight * qkv[n, values, jy, jx]
                    for weight, (jy, jx) in zip(weights, pixels, strict=True)
                )
    return aa.out_conv(out)


@pytest.mark.parametrize(
    ("changes", "input_size"),
    [
        ({}, (3, 5)),
        ({"image_size": None}, (3, 5)),
        ({"image_size": 1}, (1, 1)),
        ({"image_size": 4, "heads": 1, "key_dims": 1, "value_dims": 9}, (4, 4)),
        ({"stride": 2, "qkv_kernel_size": 3}, (6, 9)),
        ({"stride": 2, "qkv_kernel_size": 3}, (5, 10)),
        ({"qkv_kernel_size": 5, "padding": 2}, (1, 3)),
        ({"kernel_size": 1, "padding": 0, "bias": False}, (3, 5)),
        ({"kernel_size": 4, "qkv_kernel_size": 2, "stride": 2}, (6, 10)),
    ],
)
def test_equals_the_literal_loop(changes, input_size):
    aa = layer(**changes)
    x = torch.randn(2, 3, *input_size, dtype=torch.float64)
    torch.testing.assert_close(aa(x), torch.cat((aa.conv(x), literal_attention(aa, x)), 1))


def test_gradients_equal_those_of_the_literal_loop():
    aa = layer(image_size=(2, 3), stride=2)
    x = torch.randn(2, 3, 3, 6, dtype=torch.float64, requires_grad=True)
    inputs = (x, *aa.parameters())
    weight = torch.randn(2, 4, 2, 3, dtype=torch.float64)
    ours, literal = (
        torch.autograd.grad((attention * weight).sum(), inputs, allow_unused=True)
        for attention in (aa.self_attention(x), literal_attention(aa, x))
    )
    torch.testing.assert_close(ours, literal)


def test_gradcheck():
    aa = layer(image_size=(2, 3), qkv_kernel_size=3)
    names = [name for name, _ in aa.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(aa, dict(zip(names, parameters, strict=True)), (x,))

    x = torch.randn(1, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(call, (x, *aa.parameters()), fast_mode=True)


@pytest.mark.parametrize("value_dims", [2, 20], ids=["blocks", "flash"])
def test_keeps_nothing_of_the_size_of_the_logits(value_dims, monkeypatch):
    """Saved for backward, and allocated by any operation of either pass."""
    monkeypatch.setattr(block_attention, "BLOCK_ELEMENTS", 2**12)
    out_channels = value_dims + 6
    aa = layer(image_size=16, value_dims=value_dims, out_channels=out_channels).float()
    x = torch.randn(2, 3, 16, 16)
    logits = 2 * aa.heads * 256 * 256
    saved, made = [], Sizes()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: (saved.append(tensor.numel()), tensor)[1], lambda tensor: tensor
    ):
        y = aa(x)
    with made:
        aa(x)
        y.sum().backward()
    assert 0 < max(saved) < logits / 4
    assert 0 < made.largest < logits / 4


class Sizes(TorchDispatchMode):
    """The largest number of elements that an operation returns."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self.largest = max(self.largest, tensor.numel())
        return result


def test_tables_are_learned_and_shared_by_the_heads():
    aa = layer()
    assert aa.key_rel_h is not None
    assert aa.key_rel_w is not None
    assert aa.key_rel_h.shape == (5, 3)
    assert aa.key_rel_w.shape == (9, 3)
    aa(torch.randn(1, 3, 3, 5, dtype=torch.float64)).sum().backward()
    assert aa.key_rel_h.grad is not None
    assert aa.key_rel_h.grad.abs().sum() > 0


def test_autocast_keeps_the_result():
    aa = layer().float()
    x = torch.randn(2, 3, 3, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = aa(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), aa(x), atol=0.02, rtol=0.02)


def test_each_convolution_has_its_own_factory():
    made = []

    def factory(name):
        def make(*shape, **keywords):
            made.append((name, shape, keywords))
            return nn.Conv2d(*shape, **keywords)

        return make

    layer(
        stride=2,
        qkv_kernel_size=3,
        bias=False,
        conv=factory("conv"),
        qkv_conv=factory("qkv_conv"),
        out_conv=factory("out_conv"),
    )
    assert made == [
        ("conv", (3, 6, 3), {"stride": 2, "padding": 1, "bias": False}),
        ("qkv_conv", (3, 16, 3), {"stride": 2, "padding": 1, "bias": False}),
        ("out_conv", (4, 4, 1), {"stride": 1, "padding": 0, "bias": False}),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 0}, r"^heads \(=0\) must be at least 1$"),
        ({"key_dims": 5}, r"^key_dims \(=5\) must be a positive multiple of heads \(=2\)$"),
        ({"key_dims": 0}, r"^key_dims \(=0\) must be a positive multiple of heads \(=2\)$"),
        ({"value_dims": 3}, r"^value_dims \(=3\) must be a positive multiple of heads \(=2\)$"),
        ({"value_dims": 10}, r"^value_dims \(=10\) must be below out_channels \(=10\)"),
        (
            {"padding": 0},
            r"^qkv_conv: qkv_kernel_size \(=1\) cannot give .* padding at least 1$",
        ),
        ({"qkv_kernel_size": 2}, r"^qkv_conv: qkv_kernel_size \(=2\) cannot give .* both be odd"),
    ],
)
def test_refuses_what_does_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        layer(**changes)


def test_names_the_convolution_that_was_refused():
    def refuse(*shape, **keywords):
        raise ValueError("no")

    with pytest.raises(LayerError, match=r"^out_conv: no$"):
        layer(out_conv=refuse)


def test_refuses_another_image_size():
    message = r"^the output is 3x4 for an input of 3x4, but image_size \(=\(3, 5\)\) says the size"
    with pytest.raises(ValueError, match=message):
        layer()(torch.randn(1, 3, 3, 4, dtype=torch.float64))
