from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import awlab
from awlab.models.convert import constant_gate, convert
from awlab.models.zoo import timm_network, torchvision_network
from awlab.nn import AttentionAugmentedConv2d, AWConv2d
from awlab.nn.location import LayerError

NETWORKS = {
    torchvision_network: [
        "resnet18",
        "resnext50_32x4d",
        "regnet_y_400mf",
        "densenet121",
        "efficientnet_b0",
        "convnext_tiny",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "vgg11_bn",
        "squeezenet1_1",
        "shufflenet_v2_x0_5",
        "mnasnet0_5",
        "googlenet",
    ],
    timm_network: [
        "resnet18",
        "resnext26ts",
        "regnety_002",
        "densenet121",
        "efficientnet_lite0",
        "convnext_atto",
        "mobilenetv1_100",
        "mobilenetv3_small_050",
        "vgg11",
        "ghostnet_050",
        "seresnet18",
        "repvgg_a0",
    ],
}
ALL = [(build, name) for build, names in NETWORKS.items() for name in names]
SMALL = [
    (torchvision_network, "shufflenet_v2_x0_5"),
    (torchvision_network, "squeezenet1_1"),
    (torchvision_network, "mobilenet_v3_small"),
    (timm_network, "convnext_atto"),
    (timm_network, "mobilenetv3_small_050"),
    (timm_network, "regnety_002"),
]


def short(value):
    return getattr(value, "__name__", value)


def needs_timm(build):
    if build is timm_network:
        pytest.importorskip("timm")


def net() -> nn.Sequential:
    """Convolutions of several geometries, one twice."""
    torch.manual_seed(0)
    twice = nn.Conv2d(8, 8, 3, padding=1)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(8)),
        nn.ReLU(),
        twice,
        nn.Conv2d(8, 8, 3, padding="same", dilation=2, groups=2, padding_mode="reflect"),
        twice,
        nn.Conv2d(8, 16, 1),
    )


def aw_conv(network: nn.Module, name: str) -> AWConv2d:
    layer = network.get_submodule(name)
    assert isinstance(layer, AWConv2d)
    return layer


def images(batch: int = 4) -> Tensor:
    return torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ({}, ["0.0", "2", "3", "5"]),
        ({"where": "0.*"}, ["0.0"]),
        ({"where": "[35]"}, ["3", "5"]),
        ({"kernel_size": 3}, ["2", "3"]),
        ({"every": 2}, ["0.0", "3"]),
        ({"where": "?", "kernel_size": 3, "every": 2}, ["2"]),
    ],
)
def test_rules_meet(rule, names):
    network = net()
    assert convert(network, AWConv2d, **rule) == names
    converted = [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]
    assert converted == names


def test_layers_keep_parameters_geometry_and_mode():
    network, before = net(), net()
    network[3].weight.requires_grad_(False)
    network[3].eval()
    parameters = dict(network.named_parameters())
    convert(network, AWConv2d)
    after = dict(network.named_parameters())
    for name, parameter in parameters.items():
        assert after[name] is parameter
        assert torch.equal(parameter, before.get_parameter(name))
    for name in ("0.0", "2", "3", "5"):
        old, new = before.get_submodule(name), network.get_submodule(name)
        assert isinstance(new, AWConv2d)
        for setting in ("stride", "padding", "dilation", "groups", "padding_mode"):
            assert getattr(new, setting) == getattr(old, setting)
    assert network[4] is network[2]
    modes = [network[3].training, aw_conv(network, "3").attention.training, network[2].training]
    assert modes == [False, False, True]
    network(images()).sum().backward()


def test_a_factory_is_called_as_networks_call_it():
    calls = []

    def record(*shape, **settings):
        calls.append((*shape, settings))
        return nn.Conv2d(*shape, **settings)

    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1), nn.Conv2d(4, 4, (1, 3), padding="same", groups=2, bias=False)
    )
    convert(network, record)
    assert calls == [
        (2, 4, 3, {"stride": 2, "padding": 1, "bias": True}),
        (4, 4, (1, 3), {"stride": 1, "padding": "same", "bias": False, "groups": 2}),
    ]


def test_type_and_device_are_kept():
    network = net().double()
    convert(network, AWConv2d)
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float64}
    network(images().double())
    with torch.device("meta"):
        network = net()
        convert(network, AWConv2d, start="identity")
        assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}
        assert network(images(2).to("meta")).shape == (2, 16, 8, 8)


def test_what_is_added_depends_on_seed_and_name_only():
    def added(seed=None, **rule) -> Tensor:
        network = net()
        convert(network, AWConv2d, seed=seed, **rule)
        return network.get_parameter("3.attention.0.weight")

    state = torch.get_rng_state()
    first = added(seed=5)
    net()
    assert torch.equal(first, added(seed=5, where="3"))
    assert not torch.equal(first, added(seed=6))
    torch.set_rng_state(state)
    assert torch.equal(added(), added(seed=0))  # The seed of torch, which `net` sets.
    network = net()
    state = torch.get_rng_state()
    convert(network, AWConv2d)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("expand", [{"c1": "full"}, {"c2": "full"}, {"n": "full"}, {}])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("f2", ["residual", "product"])
def test_identity_keeps_the_function(f2, training, expand):
    network = net().train(training)
    expected = deepcopy(network)(images())
    convert(network, partial(AWConv2d, f2=f2, expand=expand), start="identity")
    torch.testing.assert_close(network(images()), expected)


def test_identity_with_layer_norms_keeps_the_function_of_a_single_image():
    network = net().eval()
    expected = network(images()[:1])
    convert(network, partial(AWConv2d, norm="layer", min_hidden=3), start="identity")
    for module in network.modules():
        module.train(isinstance(module, AWConv2d))
    torch.testing.assert_close(network(images()[:1]), expected)


def test_identity_with_the_product_keeps_every_bit():
    weight = net().get_parameter("2.weight").detach().clone()
    network = net()
    convert(network, partial(AWConv2d, f2="product"), "2", start="identity")
    layer = aw_conv(network, "2").eval()
    assert torch.equal(layer.weight, 2 * weight)
    x = torch.randn(3, 8, 6, 6)
    gate = layer.attention_maps(x)
    assert torch.equal(gate, torch.full_like(gate, 0.5))


def test_from_identity_attention_learns_at_once():
    network = net()
    convert(network, AWConv2d, "3", start="identity")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        network(images()).square().mean().backward()
        optimizer.step()
    layer = aw_conv(network, "3")
    gradients = [parameter.grad for parameter in layer.attention.parameters()]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    x = torch.randn(2, 8, 6, 6)
    maps = layer.attention_maps(x)
    assert not torch.equal(maps, torch.full_like(maps, 0.5))


def test_the_paper_s_start_changes_the_function():
    network = net().eval()
    expected = deepcopy(network)(images())
    convert(network, AWConv2d)
    assert (network(images()) - expected).abs().max() > 0.01


def test_a_user_s_layer_can_start_as_identity():
    class Gained(nn.Conv2d):
        def __init__(self, *shape, **settings):
            super().__init__(*shape, **settings)
            self.gain = nn.Parameter(torch.ones(()))

        def forward(self, input):  # noqa: A002
            return self.gain * super().forward(input)

    network = net().eval()
    expected = deepcopy(network)(images())
    message = r"^0\.0: start 'identity' is not known for Gained: register a function for it with c"
    with pytest.raises(LayerError, match=message):
        convert(network, partial(Gained, bias=False), start="identity", where="0.0")

    @constant_gate.register
    def _(layer: Gained) -> float:
        nn.init.constant_(layer.gain, 4)
        return 4

    assert convert(network, Gained, "0.0", start="identity") == ["0.0"]
    torch.testing.assert_close(network(images()), expected)


class Fixed(nn.Module):
    """Has no weights to take over."""

    def __init__(self, *shape, **settings):
        super().__init__()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"where": "layer9.*"},
            r"^where \(='layer9\.\*'\) matches no convolution; there are 0\.0 \(5x5\), .* \(1x1\)$",
        ),
        ({"where": "0.0", "kernel_size": 3}, "matches no convolution of kernel size 3; there are"),
        ({"every": 0}, r"^every \(=0\) must be at least 1$"),
        ({"start": "zero"}, r"^start \(='zero'\) must be one of paper, identity$"),
        (
            {"conv": partial(AWConv2d, expand={"c1": 4})},
            r"^0\.0: expand ratio of c1 \(=4\) must divide its size \(=3\)",
        ),
        (
            {"conv": Fixed},
            r"^0\.0: Fixed cannot take over 'weight' of shape \(8, 3, 5, 5\): it has none$",
        ),
        (
            {"conv": lambda *shape, **settings: nn.Conv2d(8, 8, 3, bias=False), "where": "2"},
            r"^2: Conv2d cannot take over 'bias' of shape \(8,\): it has 'weight' \(8, 8, 3, 3\)$",
        ),
        (
            {
                "conv": partial(
                    AttentionAugmentedConv2d, heads=1, key_dims=2, value_dims=2, image_size=None
                ),
                "where": "2",
            },
            r"^2: AttentionAugmentedConv2d cannot take over 'weight'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_the_network_unchanged(arguments, message):
    network = net()
    before = str(network), {name: v.clone() for name, v in network.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        convert(network, **{"conv": AWConv2d, **arguments})
    assert str(network) == before[0]
    assert all(torch.equal(v, before[1][name]) for name, v in network.state_dict().items())


def test_a_long_list_of_convolutions_is_cut():
    network = nn.Sequential(*[nn.Conv2d(1, 1, 1) for _ in range(25)])
    with pytest.raises(ValueError, match=r"18 \(1x1\), 19 \(1x1\) and 5 more$"):
        convert(network, AWConv2d, "x")


@pytest.mark.parametrize("network", [nn.Linear(2, 2), nn.Conv2d(2, 2, 1), AWConv2d(2, 2, 1)])
def test_a_network_without_convolutions_is_refused(network):
    with pytest.raises(ValueError, match=r"^the network has no convolution to convert, no layer"):
        convert(network, AWConv2d)


def test_only_ordinary_convolutions_are_converted():
    """Those of an attention branch belong to it, and a weight norm would be lost."""
    network = net()
    convert(network, AWConv2d, kernel_size=3)
    assert convert(network, AWConv2d) == ["0.0", "5"]
    with pytest.raises(ValueError, match="no convolution to convert"):
        convert(network, AWConv2d)
    network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 2, 1)))
    with pytest.raises(ValueError, match="no convolution to convert"):
        convert(network, AWConv2d)


@pytest.mark.parametrize(("build", "name"), ALL, ids=short)
def test_networks_of_libraries_are_converted(build, name):
    needs_timm(build)
    with torch.device("meta"):
        network = build(name, num_classes=7)
        plain = sum(type(layer) is nn.Conv2d for layer in network.modules())
        names = awlab.convert(network, AWConv2d, every=3)
        logits = network.eval()(torch.empty(2, 3, 64, 64))
        logits.sum().backward()
    assert logits.shape == (2, 7)
    assert len(names) == -(-plain // 3) > 0
    layers = dict(network.named_modules())
    assert all(isinstance(layers[name], AWConv2d) for name in names)
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("build", "name"),
    [pytest.param(*one, marks=[] if one in SMALL else pytest.mark.slow) for one in ALL],
    ids=short,
)
def test_networks_of_libraries_go_on_learning(build, name):
    """The function is kept, every parameter gets a gradient, and weights are stored and loaded."""
    needs_timm(build)

    def converted(seed: int) -> nn.Module:
        network = build(name, num_classes=3).eval()
        assert convert(network, AWConv2d, every=3, start="identity", seed=seed)
        return network

    x = torch.randn(2, 3, 64, 64)
    torch.manual_seed(0)
    with torch.no_grad():
        expected = build(name, num_classes=3).eval()(x)
    torch.manual_seed(0)
    network = converted(seed=0)
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)
    network.train()(x).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    other = converted(seed=1)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(other(x), network.eval()(x))
