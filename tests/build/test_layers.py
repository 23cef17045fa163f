import sys

import pytest
import torch
from torch import nn

from awlab import build, spec
from awlab.models.cond_conv import CondConv2d
from awlab.nn import CBAM, AWConv2d, SqueezeExcitation
from awlab.spec.errors import InputError


def resnet(**changes) -> spec.ResNet:
    return spec.ResNet(**({"depth": 50, "width": 4, "stem": "cifar"} | changes))


def test_conv_settings_arrive():
    conv = build.build_conv(
        spec.AWConvolution(expand={"c2": 2, "h": "full"}, f2="product", reduction=8, min_hidden=3)
    )(4, 8, 3, stride=2, padding=1, bias=False)
    assert isinstance(conv, AWConv2d)
    assert conv.expand == {"c2": 2, "h": "full"}
    assert (conv.f2, conv.reduction, conv.stride, conv.bias) == ("product", 8, (2, 2), None)
    assert conv.state_dict()["attention.0.weight"].shape[0] == 3
    rival = build.build_conv(spec.CondConvolution(experts=3))(
        4, 8, 3, stride=2, padding=1, bias=False
    )
    assert isinstance(rival, CondConv2d)
    assert rival.routing.out_features == 3
    plain = build.conv_factory(None)
    assert plain is nn.Conv2d


def test_attention_settings_arrive():
    excitation = build.build_attention(spec.SqueezeExcitation(reduction=4), 8)
    assert isinstance(excitation, SqueezeExcitation)
    assert excitation.fc1.out_channels == 2
    few = build.build_attention(spec.SqueezeExcitation(reduction=16), 8)
    assert isinstance(few, SqueezeExcitation)
    assert few.fc1.out_channels == 1
    cbam = build.build_attention(spec.CBAM(reduction=2, variant="spatial"), 8)
    assert isinstance(cbam, CBAM)
    assert cbam.channel.mlp.state_dict()["0.weight"].shape[0] == 4
    assert not cbam.channel.max_pool
    assert isinstance(build.attention_factory(None)(8), nn.Identity)


@pytest.mark.parametrize(
    ("attention", "channels", "parameters"),
    [
        (spec.ECA(), 32, 3),
        (spec.ECA(), 256, 5),
        (spec.ECA(), 2048, 7),
        (spec.ECA(kernel_size=9), 32, 9),
        (spec.GatherExcite(), 32, 0),
        (spec.GatherExcite(extent=4), 32, 0),
        # Attention weights; 1x1 to 2 channels, norm, 1x1 to 32 channels.
        (spec.GlobalContext(), 32, 33 + 66 + 4 + 96),
        (spec.GlobalContext(reduction=8, fusion="scale"), 32, 33 + 132 + 8 + 160),
    ],
)
def test_rivals_have_their_parameters(attention, channels, parameters):
    pytest.importorskip("timm")
    module = build.build_attention(attention, channels)
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters
    x = torch.randn(2, channels, 8, 8)
    assert module(x).shape == x.shape


def test_rivals_compute_what_they_are_known_for(digits):
    """Gates from means, over the whole map and over 7x7 pixels; a context that begins at 0."""
    pytest.importorskip("timm")
    x = torch.randn(2, 4, 8, 8)
    whole = build.build_attention(spec.GatherExcite(), 4)
    torch.testing.assert_close(whole(x), x * x.mean((2, 3), keepdim=True).sigmoid())
    near = build.build_attention(spec.GatherExcite(extent=4), 4)
    torch.testing.assert_close(
        near(x)[:, :, 4:, 4:],
        x[:, :, 4:, 4:] * x[:, :, 1:, 1:].mean((2, 3), keepdim=True).sigmoid(),
    )
    eca = build.build_attention(spec.ECA(kernel_size=1), 4)
    weight = eca.get_parameter("conv.weight").flatten()
    torch.testing.assert_close(eca(x), x * (weight * x.mean((2, 3), keepdim=True)).sigmoid())
    network = build.network(digits(resnet(depth=18, attention=spec.GlobalContext())))
    plain = build.network(digits(resnet(depth=18)))
    grey = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(network.eval()(grey), plain.eval()(grey))


@pytest.mark.parametrize("kind", [spec.ECA, spec.GatherExcite, spec.GlobalContext])
def test_rivals_need_timm(monkeypatch, kind, digits):
    monkeypatch.setitem(sys.modules, "timm.layers", None)
    message = r"^model layer1\.0\.attention: timm\.layers cannot be imported .* 'awlab\[zoo\]'$"
    with pytest.raises(InputError, match=message):
        build.network(digits(resnet(attention=kind())))
