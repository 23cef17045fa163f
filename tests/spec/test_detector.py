import pytest

from awlab.spec.attention import CBAM
from awlab.spec.conv import AWConvolution
from awlab.spec.detector import SSD300, Detector, FasterRCNN
from awlab.spec.errors import SpecError
from awlab.spec.load import parse
from awlab.spec.model import Model, ResNet

PRETRAINED = {"backbone_weights": "IMAGENET1K_V1"}
FILE = {"file": "best.pt", "sha256": 64 * "0"}


def test_variants_are_values():
    data = {
        "kind": "faster_rcnn",
        "backbone": {"depth": 101, "stride_in": "3x3"},
        "fpn_conv": {"kind": "aw"},
        "fpn_attention": {"kind": "cbam"},
    }
    backbone = ResNet(depth=101, stride_in="3x3")
    assert parse(Model, data) == FasterRCNN(
        backbone=backbone, fpn_conv=AWConvolution(), fpn_attention=CBAM()
    )
    data = {"kind": "ssd300", "conv": {"kind": "aw"}, "conv_in": ["vgg", "multibox"]}
    assert parse(Model, data) == SSD300(conv=AWConvolution(), conv_in=("multibox", "vgg"))


def test_detectors_are_for_detection():
    assert {Detector.task, FasterRCNN.task, SSD300.task} == {"detection"}
    assert Model.task == ResNet.task == "classification"


def test_a_backbone_that_begins_otherwise_is_not_the_same_network():
    begin = [FasterRCNN(), FasterRCNN(backbone_weights="IMAGENET1K_V1"), SSD300(weights=None)]
    assert begin[0].beginning != begin[1].beginning
    assert begin[0].beginning == begin[2].beginning


def test_costs_are_counted_for_whole_strides():
    assert FasterRCNN().input_size == (800, 1344)
    assert FasterRCNN(min_sizes=(64, 100), max_size=100).input_size == (128, 128)
    assert SSD300().input_size == (300, 300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anchor_sizes": [32]}, "anchor_sizes must be 5 numbers, one of each map"),
        ({"min_sizes": [800, 16]}, r"min_sizes must be at least 32 pixels, not \[800, 16\]"),
        ({"max_size": 600}, r"max_size \(=600\) must be at least the largest of min_sizes"),
        ({"trainable_layers": 3}, r"trainable_layers \(=3\) would freeze random weights"),
        ({"freeze_batch_norm": True}, "freeze_batch_norm would freeze norms that have seen"),
        (
            {**PRETRAINED, "backbone": {"depth": 50}},
            "IMAGENET1K_V1 are those of a network with stride_in: 3x3",
        ),
        ({"backbone": {"kind": "wide_resnet"}}, "backbone.kind: must be 'resnet', not 'wide_res"),
        ({"backbone_weights": "best.pt"}, "backbone_weights: must be text that matches"),
        ({"backbone": {"weights": FILE}}, "backbone.weights would be ignored; put them beside"),
        ({**PRETRAINED, "weights": FILE}, "IMAGENET1K_V1 would be replaced by weights; give one"),
    ],
)
def test_what_faster_rcnn_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        parse(Model, {"kind": "faster_rcnn", **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_in": ["extra"]}, r"conv_in \(=\['extra'\]\) would be ignored without a conv"),
        ({"conv": {"kind": "aw"}, "conv_in": ["vgg", "vgg"]}, "conv_in must name distinct places"),
        ({"conv": {"kind": "aw"}, "conv_in": ["fpn"]}, "conv_in.0: must be 'multibox', 'extra' or"),
        ({"trainable_layers": 6}, "trainable_layers: must be at most 5, not 6"),
    ],
)
def test_what_ssd300_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        parse(Model, {"kind": "ssd300", **change})


def test_frozen_and_pretrained_backbones():
    for weights in (PRETRAINED, {"weights": {**FILE, "into": "backbone.body"}}):
        data = {"kind": "faster_rcnn", **weights, "trainable_layers": 3, "freeze_batch_norm": True}
        assert parse(Model, data).model_dump()["trainable_layers"] == 3
