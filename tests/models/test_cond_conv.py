import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from awlab.complexity import profile_network
from awlab.models.cond_conv import CondConv2d
from awlab.models.convert import convert
from awlab.models.initialise import initialise


@pytest.fixture(autouse=True)
def _timm():
    pytest.importorskip("timm")


def test_is_the_sum_of_convolutions_that_each_sample_asks_for():
    torch.manual_seed(0)
    layer = CondConv2d(4, 6, 3, stride=2, padding=1, groups=2, experts=3)
    x = torch.randn(5, 4, 7, 7)
    shares = (x.mean((2, 3)) @ layer.routing.weight.t() + layer.routing.bias).sigmoid()
    kernels = layer.conv.weight.view(3, 6, 2, 3, 3)
    for sample, share, y in zip(x, shares, layer(x), strict=True):
        expected = sum(
            share[e] * F.conv2d(sample, kernels[e], layer.conv.bias[e], 2, 1, groups=2)
            for e in range(3)
        )
        torch.testing.assert_close(y, expected)


def test_parameters_and_macs():
    """Kernels and routing; convolution of 8x8 pixels, sum of kernels, routing."""
    with torch.device("meta"):
        network = nn.Sequential(CondConv2d(4, 6, 3, padding=1, bias=False, experts=3))
        profile = profile_network(network, torch.empty(1, 4, 8, 8))
    kernel = 6 * 4 * 9
    assert profile.total.parameters == 3 * kernel + 3 * 4 + 3
    assert profile.total.macs == 64 * kernel + 3 * kernel + 3 * 4
    assert profile.total.torch_macs == profile.total.macs


def test_kernels_begin_as_those_of_ordinary_convolutions():
    layer = CondConv2d(64, 64, 3, experts=4)
    initialise(layer, seed=0)
    for kernel in layer.conv.weight.detach().view(4, 64, 64, 3, 3):
        assert float(kernel.std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert not layer.conv.bias.any()
    again = CondConv2d(64, 64, 3, experts=4)
    initialise(again, seed=0)
    assert torch.equal(layer.conv.weight, again.conv.weight)


def test_takes_over_no_weights_of_one_kernel():
    network = nn.Sequential(nn.Conv2d(2, 2, 1))
    with pytest.raises(ValueError, match=r"^0: CondConv2d cannot take over 'weight'"):
        convert(network, CondConv2d)


def test_needs_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm.layers", None)
    with pytest.raises(ValueError, match=r"timm\.layers cannot be imported .* 'awlab\[zoo\]'$"):
        CondConv2d(2, 2, 1)
