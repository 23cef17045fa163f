from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d, SqueezeExcitation

from awlab.models.initialise import initialise
from awlab.models.pyramid import (
    PyramidBackbone,
    ResNetBody,
    freeze_all_but,
    freeze_batch_norms,
)
from awlab.models.resnet import ResNet
from awlab.nn import AWConv2d
from awlab.nn.location import LayerError


def body(**options):
    return ResNetBody(ResNet(18, num_classes=2, width=4, **options))


def backbone(**options) -> Any:
    torch.manual_seed(0)
    return PyramidBackbone(body(), out_channels=16, **options)


def aw(*arguments, **options):
    return AWConv2d(*arguments, min_hidden=4, norm="layer", **options)


def squeeze(channels):
    return SqueezeExcitation(channels, max(channels // 16, 1))


def test_it_is_torchvisions_backbone():
    torch.manual_seed(0)
    theirs = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5)
    resnet = ResNet(18, num_classes=2)
    ours = PyramidBackbone(ResNetBody(resnet))
    freeze_batch_norms(ours.body)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for buffer in theirs.buffers():
        buffer.uniform_(0.5, 1.5)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 64, 96)
    expected = theirs(x)
    for name, found in ours(x).items():
        torch.testing.assert_close(found, expected[name])
    assert list(expected) == list(ours(x))


def test_all_convolutions_of_the_pyramid_are_replaced_and_keep_their_names():
    plain, ours = backbone(), backbone(conv=aw, attention=squeeze)
    replaced = [name for name, layer in ours.named_modules() if isinstance(layer, AWConv2d)]
    assert replaced == [
        f"fpn.{blocks}.{number}.0"
        for blocks in ("inner_blocks", "layer_blocks")
        for number in range(4)
    ]
    added = ours.state_dict().keys() - plain.state_dict().keys()
    assert plain.state_dict().keys() <= ours.state_dict().keys()
    assert all("attention" in name.split(".") for name in added)


def test_attention_comes_right_before_each_convolution():
    ours, order = backbone(conv=aw, attention=squeeze), []
    for name, layer in ours.fpn.named_modules():
        if isinstance(layer, AWConv2d | SqueezeExcitation):
            layer.register_forward_hook(lambda *_, name=name: order.append(name))
    maps = ours(torch.randn(1, 3, 64, 64))
    assert len(order) == 16
    for before, after in zip(order[::2], order[1::2], strict=True):
        assert before.removesuffix("attention") == after.removesuffix("0")
    assert [tuple(found.shape) for found in maps.values()] == [
        (1, 16, side, side) for side in (16, 8, 4, 2, 1)
    ]


@pytest.mark.parametrize("samples", [1, 2])
def test_attention_of_the_pyramid_learns_from_one_and_two_images(samples):
    ours = backbone(conv=aw).train()
    freeze_batch_norms(ours.body)
    maps = ours(torch.randn(samples, 3, 64, 64))
    torch.stack([found.square().mean() for found in maps.values()]).sum().backward()
    for name, parameter in ours.fpn.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all()
    # A second look at the first image alone: nothing depends on the batch.
    alone = ours(torch.ones(1, 3, 64, 64))["0"]
    torch.testing.assert_close(ours(torch.ones(samples, 3, 64, 64))["0"][:1], alone)


def test_maps_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        maps = backbone()(torch.randn(1, 3, 64, 64))
    assert {found.dtype for found in maps.values()} == {torch.float32}


def test_shared_layers_start_bit_equal_and_as_torchvision_does():
    plain, ours = backbone(), backbone(conv=aw, attention=squeeze)
    for network in (plain, ours):
        initialise(network, seed=3)
    state = ours.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())
    weight = state["fpn.layer_blocks.0.0.weight"]
    bound = (3 / (16 * 9)) ** 0.5  # kaiming_uniform_ of a = 1
    assert weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_norms_are_frozen_but_for_those_of_attention():
    resnet = ResNet(18, num_classes=2, width=16, conv=AWConv2d)
    ours = ResNetBody(resnet)
    with torch.no_grad():
        ours.get_buffer("layer1.0.bn1.running_mean").fill_(3.0)
    freeze_batch_norms(ours)
    norms = {name: layer for name, layer in ours.named_modules() if "norm" in repr(layer).lower()}
    left = [name for name, layer in norms.items() if type(layer) is nn.BatchNorm2d]
    assert left
    assert all("attention" in name.split(".") for name in left)
    frozen = ours.get_submodule("layer1.0.bn1")
    assert isinstance(frozen, FrozenBatchNorm2d)
    assert frozen.get_buffer("running_mean").unique().tolist() == [3.0]


@pytest.mark.parametrize(("layers", "first"), [(5, "conv1"), (3, "layer2"), (1, "layer4")])
def test_the_last_layers_are_trained(layers, first):
    ours = body()
    freeze_all_but(ours, layers)
    trained = [name for name, parameter in ours.named_parameters() if parameter.requires_grad]
    assert trained[0].startswith(first)
    assert trained[-1].startswith("layer4")
    assert ("bn1.weight" in trained) is (layers == 5)


def test_nothing_of_the_body_is_trained():
    ours = body()
    freeze_all_but(ours, 0)
    assert not any(parameter.requires_grad for parameter in ours.parameters())


def test_attention_in_frozen_layers_is_trained():
    ours = body(conv=aw, attention=squeeze)
    freeze_all_but(ours, 3)
    frozen = {name for name, parameter in ours.named_parameters() if not parameter.requires_grad}
    plain = {name for name, _ in body().named_parameters()}
    assert frozen == {name for name in plain if name.startswith(("conv1", "bn1", "layer1"))}


def test_a_convolution_that_does_not_fit_is_named():
    with pytest.raises(LayerError, match=r"^fpn\.inner_blocks\.0\.0: .*must divide its size"):
        backbone(conv=lambda *a, **k: AWConv2d(*a, expand={"c1": 5}, **k))
    with pytest.raises(LayerError, match=r"^fpn\.inner_blocks\.0\.attention: of 4 channels"):
        backbone(attention=_refuse)


def _refuse(channels):
    raise ValueError(f"of {channels} channels")
