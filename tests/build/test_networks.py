from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from awlab import build, spec
from awlab.nn import AttentionAugmentedConv2d, AWConv2d
from awlab.spec.errors import InputError


class Gate(nn.Module):
    """Draws weights when it is built, and cannot be reset."""

    def __init__(self, channels: int):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.logits.sigmoid()


@pytest.fixture
def gated(monkeypatch) -> spec.Attention:
    """A user's attention, as a plugin adds it."""
    monkeypatch.setattr(spec.Attention, "members", dict(spec.Attention.members))

    class Gated(spec.Attention):
        kind: Literal["gated"] = "gated"

    @build.build_attention.register
    def _(spec: Gated, channels: int) -> nn.Module:
        return Gate(channels)

    return Gated()


def resnet(**changes) -> spec.ResNet:
    return spec.ResNet(**({"depth": 50, "width": 4, "stem": "cifar"} | changes))


AUGMENTED = spec.AAWideResNet(
    depth=10, width=1, self_attention=spec.SelfAttention(heads=1, key_ratio=0.25)
)


@pytest.mark.parametrize(
    "model",
    [
        resnet(),
        resnet(depth=18, conv=spec.AWConvolution(f2="product"), attention=spec.CBAM()),
        resnet(depth=18, attention=spec.ECA()),
        resnet(depth=18, conv=spec.CondConvolution(experts=2)),
        resnet(depth=18, attention=spec.GatherExcite(extent=2)),
        resnet(depth=18, attention=spec.GlobalContext(fusion="scale")),
        resnet(stem="imagenet", stride_in="3x3", attention=spec.SqueezeExcitation()),
        spec.WideResNet(depth=10, width=1, conv=spec.AWConvolution(), attention=spec.CBAM()),
        AUGMENTED,
        *[AUGMENTED.model_copy(update={"aw": spec.AWInAA(position=k)}) for k in (0, 1, 2, 3)],
    ],
    ids=lambda model: model.kind,
)
def test_small_networks_learn(model, digits):
    network = build.network(digits(model))
    logits = network(torch.randn(2, 1, 8, 8))
    assert logits.shape == (2, 10)
    logits.sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_shared_layers_start_bit_equal(digits):
    plain = build.network(digits(resnet())).state_dict()
    variants = [
        resnet(conv=spec.AWConvolution()),
        resnet(attention=spec.SqueezeExcitation()),
        resnet(conv=spec.AWConvolution(f2="product", reduction=4), attention=spec.CBAM()),
    ]
    for model in variants:
        variant = build.network(digits(model)).state_dict()
        assert len(variant) > len(plain)
        for name, values in plain.items():
            assert torch.equal(values, variant[name]), name


def test_a_plugin_builds_its_kind(gated, digits):
    network = build.network(digits(resnet(attention=gated)))
    channels = [len(module.logits) for module in network.modules() if isinstance(module, Gate)]
    assert channels[:4] == [16, 16, 16, 32]
    network(torch.randn(2, 1, 8, 8)).sum().backward()


def test_the_seed_decides_the_weights_and_nothing_else_does(gated, digits):
    model = resnet(attention=gated)
    first, second = (build.network(digits(model)).state_dict() for _ in "ab")
    state = torch.get_rng_state()
    other = build.network(digits(model, seed=1)).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    for name, values in first.items():
        assert torch.equal(values, second[name]), name
    for name in ("layer1.0.conv2.weight", "layer1.0.attention.logits"):
        assert not torch.equal(first[name], other[name])


def test_resnet_settings_arrive(digits):
    network = build.network(
        digits(resnet(depth=18, conv=spec.AWConvolution(), conv_stages=(4,), width=2))
    )
    names = [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]
    assert {name[:6] for name in names} == {"layer4"}
    assert network.state_dict()["fc.weight"].shape == (10, 16)


def test_self_attention_settings_arrive(digits):
    attention = spec.SelfAttention(
        heads=2,
        key_ratio=0.25,
        value_ratio=0.125,
        min_key_dims_per_head=3,
        qkv_kernel_size=1,
        relative=False,
    )
    network = build.network(
        digits(spec.AAWideResNet(depth=10, width=1, dropout=0.3, self_attention=attention))
    )
    layers = [m for m in network.modules() if isinstance(m, AttentionAugmentedConv2d)]
    assert [(m.heads, m.key_dims, m.value_dims, m.image_size) for m in layers] == [
        (2, 6, 2, None),
        (2, 8, 4, None),
        (2, 16, 8, None),
    ]
    assert layers[0].qkv_conv.state_dict()["weight"].shape[2:] == (1, 1)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.3] * 3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            spec.Torchvision(name="squeezenet1_1"),
            r"^model: networks of torchvision take images of 3 channels, not 1$",
        ),
        (
            spec.Timm(
                name="mobilenetv3_small_050",
                convert=spec.Conversion(where="x", conv=spec.AWConvolution()),
            ),
            r"^model: where \(='x'\) matches no convolution; there are conv_stem \(3x3\), ",
        ),
        (
            resnet(conv=spec.AWConvolution(expand={"c1": 3})),
            r"^model layer1\.0\.conv2: expand ratio of c1 \(=3\) must divide its size \(=4\)",
        ),
        (
            AUGMENTED.model_copy(
                update={
                    "aw": spec.AWInAA(position=2, conv=spec.AWConvolution(expand={"c1": 32})),
                }
            ),
            r"^model layer1\.0\.conv1\.qkv_conv: expand ratio of c1 \(=32\)",
        ),
        (
            spec.ResNet.model_construct(depth=20),
            r"^model: depth \(=20\) must be one of 18, 34, 50, 101, 152$",
        ),
    ],
)
def test_says_which_layer_does_not_fit(model, message, digits):
    experiment = digits(resnet()).model_copy(update={"model": model})
    with pytest.raises(InputError, match=message):
        build.network(experiment)
