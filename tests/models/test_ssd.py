from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import vgg16
from torchvision.models.detection import ssd300_vgg16

from awlab.models.initialise import initialise
from awlab.models.ssd import freeze_all_but, ssd300, vgg_of
from awlab.nn import CBAM, AWConv2d

AW = partial(AWConv2d, min_hidden=8, norm="layer")


def detector(**options) -> Any:
    with torch.device("meta"):
        return ssd300(num_classes=20, **options)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(scope="module")
def theirs():
    with torch.device("meta"):
        return ssd300_vgg16(weights=None, weights_backbone=None, num_classes=21)


@pytest.fixture(scope="module")
def whole():
    """Untrained, with attention, on the CPU."""
    network = ssd300(num_classes=2, conv=AW, attention=partial(CBAM, reduction=16))
    initialise(network, seed=0)
    return network


def test_it_is_torchvisions_detector(theirs):
    assert parameters(theirs) == 26_285_486
    shapes = {name: value.shape for name, value in theirs.state_dict().items()}
    assert {name: value.shape for name, value in detector().state_dict().items()} == shapes


@pytest.mark.parametrize(
    ("places", "count"),
    [(("multibox",), 12), (("extra",), 8), (("vgg",), 15), (("multibox", "extra", "vgg"), 35)],
)
def test_convolutions_are_replaced_where_it_is_said(places, count, theirs):
    network = detector(conv=AW, places=places, attention=partial(CBAM, reduction=16))
    replaced = [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]
    assert len(replaced) == count
    assert not any("attention" in name for name in replaced)
    assert theirs.state_dict().keys() <= network.state_dict().keys()


def test_it_trains_and_finds_with_few_objects_and_with_none(whole):
    scenes = [torch.rand(3, 40, 60), torch.rand(3, 50, 50)]
    targets = [
        {"boxes": torch.tensor([[5.0, 5.0, 30.0, 35.0]]), "labels": torch.tensor([2])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    losses = whole.train()(scenes, targets)
    assert losses.keys() == {"bbox_regression", "classification"}
    torch.stack([*losses.values()]).sum().backward()
    gradients = {name: parameter.grad for name, parameter in whole.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    with torch.no_grad():
        found = whole.eval()(scenes)
    assert [one["boxes"][:, 2].max() <= width for one, width in zip(found, (60, 50), strict=True)]
    (alone,) = whole([scenes[0]])
    torch.testing.assert_close(alone["scores"], found[0]["scores"])


def test_maps_and_boxes_are_float32_under_autocast(whole):
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        maps = whole.backbone(torch.rand(1, 3, 300, 300))
        heads = whole.head(list(maps.values()))
    assert {value.dtype for value in (*maps.values(), *heads.values())} == {torch.float32}
    assert heads["cls_logits"].shape == (1, 8732, 3)


def test_it_begins_as_torchvision_lets_it(whole):
    state = whole.state_dict()
    assert state["backbone.scale_weight"].unique().tolist() == [20.0]

    def bound(name):  # xavier_uniform_
        weight = state[name]
        outputs, inputs, height, width = weight.shape
        return weight.abs().max() / (6 / ((inputs + outputs) * height * width)) ** 0.5

    for name in (
        "backbone.extra.0.7.1.weight",
        "backbone.extra.1.0.weight",
        "backbone.extra.4.2.weight",
        "head.classification_head.module_list.0.weight",
        "head.regression_head.module_list.5.weight",
    ):
        assert 0.99 < bound(name) <= 1, name
    vgg = state["backbone.extra.0.1.weight"]  # kaiming_normal_ of mode fan_out
    assert vgg.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_vgg_has_the_names_of_torchvisions():
    with torch.device("meta"):
        expected = vgg16(weights=None).features.state_dict()
    found = vgg_of(detector()).state_dict()
    assert {name: value.shape for name, value in found.items()} == {
        f"features.{name}": value.shape for name, value in expected.items()
    }


@pytest.mark.parametrize(
    ("layers", "convolutions", "first"),
    [(5, 13, "0"), (4, 11, "5"), (3, 9, "10"), (1, 3, "24"), (0, 0, None)],
)
def test_the_last_blocks_of_vgg_are_trained(layers, convolutions, first):
    network = detector(conv=AW, places=("vgg",))
    backbone = network.backbone
    freeze_all_but(backbone, layers)
    features = vgg_of(network).get_submodule("features")
    trained = [
        name
        for name, layer in features.named_children()
        if isinstance(layer, nn.Conv2d) and layer.weight.requires_grad
    ]
    assert (len(trained), next(iter(trained), None)) == (convolutions, first)
    assert all(parameter.requires_grad for parameter in backbone.extra[1].parameters())
    assert backbone.get_parameter("extra.0.7.1.weight").requires_grad


def test_attention_in_frozen_blocks_of_vgg_is_trained():
    network = detector(conv=AW, places=("vgg",))
    freeze_all_but(network.backbone, 3)
    frozen = {name for name, p in vgg_of(network).named_parameters() if not p.requires_grad}
    convolutions = ("0", "2", "5", "7")  # of the first two blocks
    assert frozen == {f"features.{n}.{kind}" for n in convolutions for kind in ("weight", "bias")}


def test_a_convolution_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"^head\.classification_head\.module_list\.0: .*divide"):
        detector(conv=partial(AWConv2d, expand={"c1": 5}))
