"""Detectors from their specs."""

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.ssd import SSD

from awlab.build.layers import attention_factory, conv_factory
from awlab.build.networks import build_model, initial_weights
from awlab.models import pyramid, ssd
from awlab.models.faster_rcnn import faster_rcnn
from awlab.models.initialise import initialise
from awlab.models.pretrained import load_backbone, torchvision_weights
from awlab.models.resnet import ResNet
from awlab.nn.location import inside
from awlab.spec import detector as detector_spec

CAFFE = "IMAGENET1K_FEATURES"
"""Weights of VGG16 that were trained on images in another range."""


@build_model.register
def _(
    spec: detector_spec.FasterRCNN, *, num_classes: int, channels: int, image_size: int
) -> FasterRCNN:
    _check_channels(channels)
    with inside("backbone"):
        resnet = build_model(
            spec.backbone, num_classes=num_classes, channels=channels, image_size=image_size
        )
        assert isinstance(resnet, ResNet)
        backbone = pyramid.PyramidBackbone(
            pyramid.ResNetBody(resnet),
            out_channels=spec.fpn_channels,
            conv=conv_factory(spec.fpn_conv),
            attention=attention_factory(spec.fpn_attention),
        )
    if spec.freeze_batch_norm:
        pyramid.freeze_batch_norms(backbone.body)
    pyramid.freeze_all_but(backbone.body, spec.trainable_layers)
    return faster_rcnn(
        backbone,
        num_classes=num_classes,
        min_sizes=spec.min_sizes,
        max_size=spec.max_size,
        anchor_sizes=spec.anchor_sizes,
        anchor_ratios=spec.anchor_ratios,
        proposals=spec.proposals,
        regions=spec.regions,
        hidden=spec.hidden,
    )


@build_model.register
def _(spec: detector_spec.SSD300, *, num_classes: int, channels: int, image_size: int) -> SSD:
    del image_size
    _check_channels(channels)
    trained_on = {}
    if spec.backbone_weights == CAFFE:
        trained_on = {"mean": ssd.CAFFE_MEAN, "std": ssd.CAFFE_STD}
    detector = ssd.ssd300(
        num_classes=num_classes,
        conv=conv_factory(spec.conv),
        places=spec.conv_in,
        attention=attention_factory(spec.attention),
        **trained_on,
    )
    assert isinstance(detector.backbone, ssd.SSDFeatureExtractorVGG)
    ssd.freeze_all_but(detector.backbone, spec.trainable_layers)
    return detector


@initial_weights.register
def _(spec: detector_spec.FasterRCNN, network: FasterRCNN, seed: int) -> None:
    """Random ones; then the backbone's, which keep the attention in it as it is."""
    initialise(network, seed)
    if spec.backbone_weights is not None and not _on_meta(network):
        body = network.backbone.get_submodule("body")
        values = torchvision_weights(spec.backbone_weights, f"resnet{spec.backbone.depth}")
        load_backbone(body, values, of=spec.backbone_weights)


@initial_weights.register
def _(spec: detector_spec.SSD300, network: SSD, seed: int) -> None:
    """Random ones; then VGG's."""
    initialise(network, seed)
    if spec.backbone_weights is not None and not _on_meta(network):
        values = torchvision_weights(spec.backbone_weights, "vgg16")
        load_backbone(ssd.vgg_of(network), values, of=spec.backbone_weights)


def _check_channels(channels: int) -> None:
    if channels != 3:
        raise ValueError(f"detectors take images of 3 channels, not {channels}")


def _on_meta(network: nn.Module) -> bool:
    return next(network.parameters()).device == torch.device("meta")
