from typing import Any

import pytest
import torch
from torchvision.ops import FrozenBatchNorm2d

from awlab import build
from awlab.build import detectors
from awlab.nn import AWConv2d
from awlab.spec import Experiment
from awlab.spec.errors import InputError
from awlab.spec.load import parse

AW = {"kind": "aw", "norm": "layer", "min_hidden": 8}
RESNET101 = {"depth": 101, "stride_in": "3x3"}


def experiment(seed=0, **model):
    recipe = {"epochs": 1, "batch_size": 2, "optimizer": {"kind": "sgd", "lr": 0.1}}
    nodes = {"model": model, "data": {"kind": "digit_scenes"}, "training": recipe}
    return parse(Experiment, {"name": "scenes", "seed": seed, **nodes})


def faster_rcnn(**model):
    small = {"depth": 18, "width": 8} | model.pop("backbone", {})
    sizes = {"min_sizes": [64], "max_size": 64, "hidden": 8, "fpn_channels": 16}
    return experiment(kind="faster_rcnn", backbone=small, **sizes | model)


def built(spec) -> Any:
    return build.network(spec)


def parameters(spec):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in built(spec).parameters())


@pytest.mark.parametrize(
    ("variant", "added"),
    [  # over ResNet101-FPN, counted layer by layer: lateral and output convolutions
        ({}, 0),
        ({"fpn_conv": {"kind": "aw"}}, 80_000 + 34_944),
        ({"fpn_conv": {"kind": "aw", "norm": "layer"}}, 80_000 + 34_944),
        ({"fpn_attention": {"kind": "se"}}, 700_400 + 33_856),
        ({"fpn_conv": AW, "fpn_attention": {"kind": "se"}}, 114_944 + 734_256),
        # two gates each: the spatial one has 98 + 2 parameters
        ({"fpn_attention": {"kind": "cbam"}}, 734_256 + 8 * 100),
        ({"fpn_conv": AW, "fpn_attention": {"kind": "cbam"}}, 114_944 + 734_256 + 8 * 100),
    ],
)
def test_parameters_of_table_3(variant, added):
    spec = experiment(kind="faster_rcnn", backbone=RESNET101, **variant)
    norms = 2 * 52_672  # torchvision's are frozen, and then no parameters
    of_ten_digits = 60_695_190 - 80 * 5 * 1025  # of COCO's 90 numbers, less 80 classes
    assert parameters(spec) == of_ten_digits + norms + added


def test_variants_share_what_they_have_in_common_bit_for_bit():
    plain = built(faster_rcnn()).state_dict()
    other = built(faster_rcnn(fpn_conv=AW, fpn_attention={"kind": "se"})).state_dict()
    assert plain.keys() < other.keys()
    assert all(torch.equal(value, other[name]) for name, value in plain.items())
    again = built(faster_rcnn().model_copy(update={"seed": 1})).state_dict()
    name = "rpn.head.conv.0.0.weight"
    assert not torch.equal(again[name], plain[name])


def test_the_backbone_begins_with_torchvisions_weights(monkeypatch):
    backbone: Any = built(faster_rcnn(backbone={"width": 64})).backbone
    assert isinstance(backbone, detectors.pyramid.PyramidBackbone)
    values = {name: value + 1 for name, value in backbone.body.state_dict().items()}
    asked = []

    def weights(name, network):
        asked.append((name, network))
        return values

    monkeypatch.setattr(detectors, "torchvision_weights", weights)
    spec = faster_rcnn(
        backbone={"width": 64, "conv": {"kind": "aw"}},
        backbone_weights="IMAGENET1K_V1",
        freeze_batch_norm=True,
        trainable_layers=3,
    )
    with torch.device("meta"):
        built(spec)
    assert asked == []
    network = built(spec)
    assert asked == [("IMAGENET1K_V1", "resnet18")]
    state = network.backbone.get_submodule("body").state_dict()
    for name, value in values.items():
        assert name.endswith("num_batches_tracked") or torch.equal(state[name], value), name
    frozen = [layer for layer in network.modules() if isinstance(layer, FrozenBatchNorm2d)]
    assert len(frozen) == 20
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert "backbone.body.layer2.0.conv1.weight" in trained
    assert "backbone.body.layer1.0.conv1.weight" not in trained


def test_images_are_normalised_as_those_of_the_weights(monkeypatch):
    with torch.device("meta"):
        vgg = detectors.ssd.vgg_of(built(experiment(kind="ssd300"))).state_dict()
    values = {name: torch.full(value.shape, 0.25) for name, value in vgg.items()}
    monkeypatch.setattr(detectors, "torchvision_weights", lambda name, network: values)
    network = built(experiment(kind="ssd300", backbone_weights="IMAGENET1K_FEATURES"))
    assert network.transform.image_std == [1 / 255] * 3
    assert network.get_parameter("backbone.features.0.weight").unique().tolist() == [0.25]
    assert network.get_parameter("backbone.extra.0.5.bias").unique().tolist() == [0.25]
    with torch.device("meta"):
        plain = built(experiment(kind="ssd300"))
    assert plain.transform.image_std == [0.229, 0.224, 0.225]


def test_settings_reach_the_detector():
    network = built(
        faster_rcnn(proposals=10, regions=20, min_sizes=[40, 48], max_size=80, anchor_ratios=[1.0])
    )
    assert network.rpn._post_nms_top_n == {"training": 20, "testing": 10}
    assert network.roi_heads.fg_bg_sampler.batch_size_per_image == 20
    assert (network.transform.min_size, network.transform.max_size) == ((40, 48), 80)
    assert network.rpn.anchor_generator.num_anchors_per_location() == [1] * 5
    assert network.roi_heads.box_predictor.cls_score.out_features == 11


def test_places_and_attention_reach_ssd():
    with torch.device("meta"):
        spec = experiment(kind="ssd300", conv=AW, conv_in=["extra"], attention={"kind": "cbam"})
        network = built(spec)
    replaced = [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]
    assert len(replaced) == 8
    assert len(network.head.attention) == 6


@pytest.mark.parametrize("kind", ["faster_rcnn", "ssd300"])
def test_grey_images_are_refused(kind):
    spec = experiment(kind=kind)
    with pytest.raises(ValueError, match="detectors take images of 3 channels, not 1"):
        build.build_model(spec.model, num_classes=2, channels=1, image_size=64)


def test_a_layer_that_does_not_fit_is_named():
    spec = faster_rcnn(fpn_conv={"kind": "aw", "expand": {"c1": 7}})
    message = r"^model backbone\.fpn\.inner_blocks\.0\.0: .*must divide its size \(=8\)"
    with pytest.raises(InputError, match=message):
        built(spec)


def test_weights_that_are_not_there(monkeypatch):
    def fails(name, network):
        raise ValueError("cannot be read")

    monkeypatch.setattr(detectors, "torchvision_weights", fails)
    with pytest.raises(InputError, match=r"^model: cannot be read"):
        built(faster_rcnn(backbone_weights="IMAGENET1K_V1"))
