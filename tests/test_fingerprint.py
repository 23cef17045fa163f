from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from awlab import build
from awlab.fingerprint import SETTINGS, attributes, fingerprint
from awlab.models.faster_rcnn import faster_rcnn
from awlab.models.initialise import initialise
from awlab.models.pyramid import PyramidBackbone, ResNetBody
from awlab.models.resnet import ResNet
from awlab.nn import AWConv2d
from awlab.spec.experiment import Experiment
from awlab.spec.load import parse

RESNET = {"kind": "resnet", "depth": 18, "width": 4, "stem": "cifar"}
BOTTLENECK = {"kind": "resnet", "depth": 50, "width": 4, "stem": "cifar"}
WIDE = {"kind": "wide_resnet", "depth": 10, "width": 1}
AA = {"kind": "aa_wide_resnet", "depth": 10, "width": 5, "self_attention": {"heads": 2}}
AW = {"kind": "aw"}


def network(model, device="cpu"):
    data = {
        "name": "net",
        "model": model,
        "data": {"kind": "digits"},
        "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
    }
    with torch.device(device):
        return build.network(parse(Experiment, data))


def aa(position, expand, **self_attention):
    aw = {"position": position, "conv": AW | {"expand": expand}}
    return AA | {"aw": aw, "self_attention": AA["self_attention"] | self_attention}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RESNET, RESNET | {"conv_stages": [1]}),
        (
            RESNET | {"conv": AW, "conv_stages": [1]},
            RESNET | {"conv": AW | {"expand": {"c1": 4}}, "conv_stages": [1]},
        ),
        (
            RESNET | {"conv": AW | {"min_hidden": 2}},
            RESNET | {"conv": AW | {"reduction": 99, "min_hidden": 2}},
        ),
        (RESNET | {"conv": AW | {"reduction": 64}}, RESNET | {"conv": AW | {"reduction": 99}}),
        (aa(3, {"c1": "full"}), aa(3, {"c1": "full", "h": "full", "w": "full"})),
        (
            aa(2, {"c1": "full"}, qkv_kernel_size=1),
            aa(2, {"c1": "full", "w": "full"}, qkv_kernel_size=1),
        ),
        (
            RESNET | {"attention": {"kind": "cbam", "reduction": 32}},
            RESNET | {"attention": {"kind": "cbam", "reduction": 64}},
        ),
    ],
)
def test_networks_of_one_digest_are_equal(one, other):
    first, second = network(one), network(other)
    assert fingerprint(first) == fingerprint(second) is not None
    assert_equal(first, second, torch.randn(4, 1, 8, 8))


def assert_equal(first, second, x):
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
    for mode in (True, False):
        outputs = []
        for net in (first, second):
            torch.manual_seed(0)
            outputs.append(net.train(mode)(x))
        assert torch.equal(*outputs)


DIFFERENT = [
    RESNET,
    RESNET | {"width": 8},
    RESNET | {"depth": 34},
    RESNET | {"stem": "imagenet"},
    RESNET | {"attention": {"kind": "se"}},
    RESNET | {"attention": {"kind": "cbam"}},
    RESNET | {"attention": {"kind": "cbam", "variant": "max_pool"}},
    RESNET | {"attention": {"kind": "cbam", "variant": "spatial"}},
    RESNET | {"conv": AW},
    RESNET | {"conv": AW, "conv_stages": [1]},
    RESNET | {"conv": AW | {"f2": "product"}},
    RESNET | {"conv": AW | {"reduction": 2}},
    RESNET | {"conv": AW | {"min_hidden": 3}},
    RESNET | {"conv": AW | {"expand": {}}},
    RESNET | {"conv": AW | {"expand": {"c1": 2}}},
    RESNET | {"conv": AW | {"expand": {"c2": "full"}}},
    RESNET | {"conv": AW | {"expand": {"c1": "full", "h": "full"}}},
    RESNET | {"conv": AW | {"expand": {"c1": "full", "w": "full"}}},
    RESNET | {"conv": AW | {"expand": {"c1": "full", "n": "full"}}},
    RESNET | {"conv": AW | {"expand": {"c1": "full", "n": 2}}},
    BOTTLENECK,
    BOTTLENECK | {"stride_in": "3x3"},
    WIDE,
    WIDE | {"dropout": 0.1},
    WIDE | {"dropout": 0.2},
    AA,
    AA | {"self_attention": {"heads": 4}},
    AA | {"self_attention": {"heads": 2, "relative": False}},
    AA | {"self_attention": {"heads": 2, "qkv_kernel_size": 1}},
    AA | {"self_attention": {"heads": 2, "key_ratio": 0.4}},
    AA | {"self_attention": {"heads": 2, "value_ratio": 0.2}},
    AA | {"dropout": 0.1},
    *(aa(position, {"c1": "full"}) for position in range(4)),
]


def test_networks_that_differ_have_different_digests():
    digests = [fingerprint(network(model, "meta")) for model in DIFFERENT]
    assert None not in digests
    assert len(set(digests)) == len(DIFFERENT)


def test_the_device_means_nothing():
    assert fingerprint(network(RESNET)) == fingerprint(network(RESNET, "meta"))


ratios = {
    "c2": [2, 4, "full"],
    "c1": [3, 6, "full"],
    "h": [3, "full"],
    "w": [1, "full"],
    "n": [2, "full"],
}
expands = st.fixed_dictionaries(
    {}, optional={dim: st.sampled_from(of) for dim, of in ratios.items()}
)
convs = st.fixed_dictionaries(
    {
        "expand": expands,
        "f2": st.sampled_from(["residual", "product"]),
        "reduction": st.sampled_from([1, 2, 4]),
        "min_hidden": st.sampled_from([1, 2]),
    }
)


@settings(max_examples=60, deadline=None)
@given(convs, convs, st.sampled_from([(3, 1), (1, 1), (3, 3)]))
def test_aw_convolutions_have_one_digest_exactly_when_they_are_equal(one, other, kernel_size):
    sizes = {"h": kernel_size[0], "w": kernel_size[1]}
    for options in (one, other):
        for dim, size in sizes.items():
            if options["expand"].get(dim) not in (None, "full") and size % options["expand"][dim]:
                options["expand"][dim] = "full"
    padding = (kernel_size[0] // 2, kernel_size[1] // 2)
    torch.manual_seed(0)
    x = torch.randn(4, 6, 5, 5)
    outputs = []
    digests = []
    for options in (one, other):
        conv = AWConv2d(6, 4, kernel_size, padding=padding, **options)
        initialise(conv, 0)
        outputs.append((conv(x), conv.eval()(x)))
        digests.append(fingerprint(conv.train()))
    same = all(map(torch.equal, *outputs))
    if digests[0] == digests[1]:
        assert same
    elif "n" not in one["expand"]:  # n=4 is the whole batch: equal here, not for other batches.
        assert not same


class Foreign(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x * self.scale


class ForeignAWConv2d(AWConv2d):
    def forward(self, input):  # noqa: A002
        return 2 * super().forward(input)


@pytest.mark.parametrize(
    "part",
    [Foreign(2), nn.Sequential(Foreign(2)), ForeignAWConv2d(4, 4, 1)],
    ids=["module", "nested", "subclass"],
)
def test_a_module_from_elsewhere_has_no_digest(part):
    assert fingerprint(part) is None


def test_a_module_from_elsewhere_can_be_entered(monkeypatch):
    monkeypatch.setitem(SETTINGS, Foreign, attributes)
    assert fingerprint(Foreign(2)) == fingerprint(Foreign(2)) is not None
    assert fingerprint(Foreign(2)) != fingerprint(Foreign(3))
    assert fingerprint(Foreign([1, (2,)])) != fingerprint(Foreign([1, [2]]))
    assert fingerprint(Foreign(1)) != fingerprint(Foreign(True))
    assert fingerprint(Foreign(F.relu)) != fingerprint(Foreign(F.silu))
    assert fingerprint(Foreign(nn.ReLU)) != fingerprint(Foreign(nn.SiLU))
    assert fingerprint(Foreign(partial(F.relu))) == fingerprint(Foreign(partial(F.relu)))
    assert fingerprint(Foreign(partial(pow, 2))) != fingerprint(Foreign(partial(pow, 3)))


@pytest.mark.parametrize("value", [lambda x: x, object(), torch.zeros(2000), {1: object()}])
def test_what_cannot_be_described_leaves_no_digest(value, monkeypatch):
    monkeypatch.setitem(SETTINGS, Foreign, attributes)
    assert fingerprint(Foreign(value)) is None


def test_a_changed_forward_or_a_hook_leaves_no_digest():
    changed, hooked = nn.ReLU(), nn.ReLU()
    changed.forward = torch.sigmoid
    hooked.register_forward_hook(lambda *_: torch.zeros(1))
    assert fingerprint(changed) is None
    assert fingerprint(hooked) is None


def test_shared_weights_are_not_equal_ones():
    free, tied = (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(2))
    tied[1].weight = tied[0].weight
    once = nn.Linear(2, 2)
    twice = nn.Sequential(once, once)
    assert len({fingerprint(net) for net in (free, tied, twice)}) == 3


def test_frozen_weights_and_other_dtypes_are_different():
    plain, frozen, half = (
        nn.Linear(2, 2),
        nn.Linear(2, 2).requires_grad_(False),
        nn.Linear(2, 2).half(),
    )
    assert len({fingerprint(net) for net in (plain, frozen, half)}) == 3


def detector(**options):
    with torch.device("meta"):
        body = ResNetBody(ResNet(18, num_classes=2, width=2))
        return faster_rcnn(PyramidBackbone(body, out_channels=8), num_classes=2, **options)


def test_detectors_are_told_apart_by_their_settings():
    assert fingerprint(detector()) is not None
    assert fingerprint(detector()) == fingerprint(detector())
    others = [{"proposals": 10}, {"regions": 64}, {"anchor_ratios": (1.0,)}, {"max_size": 1000}]
    found = [fingerprint(detector(**options)) for options in ({}, *others)]
    assert len(set(found)) == len(found)
