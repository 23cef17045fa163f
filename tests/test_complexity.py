import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from awlab import spec
from awlab.complexity import Comparison, Part, Profile, compare, own_macs, profile, profile_network
from awlab.nn import CBAM, AttentionAugmentedConv2d, AWConv2d
from awlab.spec.load import load_experiment

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def imagenet(**model) -> spec.Experiment:
    return spec.Experiment(
        name="imagenet",
        model=spec.ResNet(**model),
        data=spec.ImageFolder(folder="imagenet", classes=1000),
        training=spec.Training(epochs=1, batch_size=1, optimizer=spec.SGD(lr=0.1)),
    )


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [
        ("cifar100_aa", 8_434_652, 1.1640),
        ("cifar100_aw_aa_0", 8_504_232, 1.1695),
        ("cifar100_aw_aa_1", 8_478_554, 1.1665),
        ("cifar100_aw_aa_2", 8_452_322, 1.1654),
        ("cifar100_aw_aa_3", 8_435_562, 1.1641),
        ("cifar100_resnet50", 23_705_252, 1.2225),
        ("cifar100_aw_resnet50", 23_870_460, 1.2352),
        ("cifar100_se_resnet50", 26_236_244, 1.2286),
        ("cifar100_aw_se_resnet50", 26_401_452, 1.2414),
        ("cifar100_cbam_resnet50", 26_237_844, 1.2388),
        ("cifar100_aw_cbam_resnet50", 26_403_052, 1.2515),
    ],
)
def test_table_2(name, parameters, gmacs):
    """The shipped experiments; the AA rows' and one ResNet50 row's GMACs are known to differ."""
    experiment = load_experiment(EXPERIMENTS / f"{name}.yaml")
    assert experiment.paper is not None
    total = profile(experiment)
    assert total.total.parameters == parameters
    assert total.total.macs / 1e9 == pytest.approx(gmacs, abs=5e-5)
    of_parameters, of_macs = compare(total, experiment.paper)
    assert (of_parameters.verdict, of_parameters.note) == ("match", None)
    if "_aa" in name or name == "cifar100_aw_resnet50":
        assert of_macs.verdict == "differs"
        assert of_macs.note == experiment.paper.note != ""
    else:
        assert (of_macs.verdict, of_macs.note) == ("match", None)


def test_the_network_of_bello():
    """36.3 M in public ports; Bello et al. print 36.2 M."""
    experiment = load_experiment(EXPERIMENTS / "cifar100_aa_wrn28_10.yaml")
    total = profile(experiment).total
    assert total.parameters == 36_327_044
    assert total.macs / 1e9 == pytest.approx(6.22, abs=5e-3)


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs", "verdicts"),
    [
        ("resnet50", 25_557_032, 3.8580, "match match"),
        ("aw_resnet50", 25_722_240, 3.8707, "match match"),
        ("se_resnet50", 28_088_024, 3.8715, "match match"),
        ("aw_se_resnet50", 28_253_232, 3.8843, "match match"),
        ("aw_cbam_max_pool_resnet50", 28_253_232, 3.8923, "match match"),
        ("aw_cbam_spatial_resnet50", 28_254_832, 3.9022, "match match"),
        ("resnet101", 44_549_160, 7.5702, "match match"),
        ("aw_resnet101", 44_862_880, 7.5942, "differs differs"),
        ("se_resnet101", 49_326_872, 7.5928, "match differs"),
        ("aw_se_resnet101", 49_640_592, 7.6168, "differs differs"),
        ("aw_cbam_max_pool_resnet101", 49_640_592, 7.6305, "differs differs"),
        ("aw_cbam_spatial_resnet101", 49_643_892, 7.6453, "differs differs"),
        ("mobilenet", 4_231_976, 0.5687, "match match"),
        ("se_mobilenet", 5_072_114, 0.5789, "match differs"),
        ("aw_se_mobilenet", 5_520_858, 0.5824, "match differs"),
        ("cbam_mobilenet", 5_074_714, 0.6025, "match differs"),
        ("aw_cbam_spatial_mobilenet", 5_523_458, 0.6006, "match differs"),
    ],
)
def test_table_1(name, parameters, gmacs, verdicts):
    """The shipped experiments; where the paper cannot be met, the file says why."""
    experiment = load_experiment(EXPERIMENTS / f"imagenet_{name}.yaml")
    assert experiment.paper is not None
    counted = profile(experiment)
    assert counted.total.parameters == parameters
    assert counted.total.macs / 1e9 == pytest.approx(gmacs, abs=5e-5)
    rows = compare(counted, experiment.paper)
    assert [row.verdict for row in rows] == verdicts.split()
    assert all((row.note is None) == (row.verdict == "match") for row in rows)


def test_aw_convolutions_are_named():
    names = profile(imagenet(depth=18, conv=spec.AWConvolution(), conv_stages=(4,))).aw_convolutions
    assert names == tuple(f"layer4.{block}.conv{conv}" for block in (0, 1) for conv in (1, 2))
    assert profile(imagenet(depth=18)).aw_convolutions == ()


def test_v1_5_costs_what_it_is_known_for():
    assert profile(imagenet(stride_in="3x3")).total.macs / 1e9 == pytest.approx(4.089, abs=5e-4)


def test_stages_add_up():
    whole = profile(imagenet(conv=spec.AWConvolution()))
    assert [part.name for part in whole.parts] == [
        "conv1",
        "bn1",
        "layer1",
        "layer2",
        "layer3",
        "layer4",
        "fc",
    ]
    assert whole.parts[0] == Part("conv1", 9408, 118_013_952, 118_013_952)
    assert whole.parts[-1] == Part("fc", 2_049_000, 2_048_000, 2_048_000)
    for field in ("parameters", "macs", "torch_macs"):
        assert getattr(whole.total, field) == sum(getattr(part, field) for part in whole.parts)


def test_costs_a_moment():
    experiment = load_experiment(EXPERIMENTS / "cifar100_aw_cbam_resnet50.yaml")
    began = time.process_time()
    profile(experiment)
    assert time.process_time() - began < 2  # 0.4 s on a quiet core


def single(layer: nn.Module, *shape: int) -> Part:
    with torch.device("meta"):
        return profile_network(nn.Sequential(layer.to("meta")), torch.empty(1, *shape)).total


def test_macs_of_an_aw_convolution():
    """Convolution, A * K, and both pointwise convolutions on 3x3 pooled pixels."""
    conv = AWConv2d(32, 48, 3, stride=2, padding=1, reduction=16)
    products = 48 * 32 * 9
    assert single(conv, 32, 8, 8).macs == 16 * products + products + 9 * (32 * 3 + 3 * 48)


def test_macs_of_an_augmented_convolution():
    pixels, key_dims, value_dims = 4 * 6, 8, 4
    convolutions = pixels * (9 * 3 * 12 + 3 * (2 * key_dims + value_dims) + value_dims**2)
    products = pixels**2 * (key_dims + value_dims)
    tables = pixels * (7 + 11) * key_dims
    for image_size, expected in (((4, 6), products + tables), (None, products)):
        aa = AttentionAugmentedConv2d(
            3, 16, 3, 1, 1, heads=2, key_dims=8, value_dims=4, image_size=image_size
        )
        assert single(aa, 3, 4, 6).macs == convolutions + expected


@pytest.mark.parametrize(
    ("variant", "macs"),
    [
        ("full", 2 * 2 * 32 * 2 + 3 * 32 * 20 + 98 * 20 + 3 * 32 * 20),
        ("max_pool", 2 * 2 * 32 * 2 + 3 * 32 * 20),
        ("spatial", 2 * 32 * 2 + 2 * 32 * 20 + 98 * 20 + 3 * 32 * 20),
    ],
)
def test_macs_of_cbam(variant, macs):
    """MLP per pooled vector, poolings and rescaling; 7x7 convolution, poolings, rescaling."""
    assert single(CBAM(32, 16, variant), 32, 4, 5).macs == macs


class Mixer(nn.Module):
    """Unknown to `own_macs`, with a known layer inside."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).flatten(2)
        return (y @ (y.transpose(1, 2) @ y)).unflatten(2, x.shape[2:]) * self.scale[:, None, None]


def test_an_unknown_module_is_left_to_the_flop_counter():
    products = 2 * 8 * 20 * 20
    assert single(Mixer(), 8, 4, 5) == Part("total", 80, 20 * 64 + products, 20 * 64 + products)


def test_what_the_network_does_itself_has_a_row():
    with torch.device("meta"):
        network, image = Mixer(), torch.empty(1, 8, 4, 5)
        parts = profile_network(network, image).parts
    assert parts == (
        Part("conv", 72, 20 * 64, 20 * 64),
        Part("scale", 8, 0, 0),
        Part("network", 0, 6400, 6400),
    )


def test_a_class_can_be_registered():
    class Counted(Mixer):
        pass

    @own_macs.register
    def _(module: Counted, x: Tensor, y: Tensor) -> int:
        return 7

    assert single(Counted(), 8, 4, 5).macs == 20 * 64 + 7


def test_multi_head_attention_is_seen():
    """Its fast path is invisible to the flop counter, and is back on afterwards."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(2).transpose(1, 2)
            return self.attention(tokens, tokens, tokens, need_weights=False)[0]

    assert single(Tokens(), 8, 4, 4).macs == 16 * 8 * 8 * 4 + 2 * 16 * 16 * 8
    assert torch.backends.mha.get_fastpath_enabled()


def test_leaves_the_modes_of_the_network_alone():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1).eval())
    profile_network(network, torch.empty(1, 3, 1, 1))
    assert [module.training for module in network.modules()] == [True, True, False]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network)


@pytest.mark.parametrize(
    ("ours", "printed", "decimals", "verdict"),
    [
        (26_401_452, 26.40, 2, "match"),
        (26_444_000, 26.40, 2, "differs"),
        (569_400, 0.569, 3, "match"),
        (569_600, 0.569, 3, "differs"),
        (8_000_000, 8.0, 2, "match"),
    ],
)
def test_compares_at_the_printed_decimals(ours, printed, decimals, verdict):
    paper = spec.Paper(source="a table", parameters_m=printed, note="why")
    assert compare(Profile((Part("all", ours, 0, 0),)), paper) == (
        Comparison(
            "parameters_m",
            ours / 1e6,
            printed,
            decimals,
            verdict,
            None if verdict == "match" else "why",
        ),
    )
