import pytest
import torch
from torch import nn

from awlab.models.initialise import initialise, reset
from awlab.models.resnet import ResNet
from awlab.nn.aw_conv import AWConv2d
from awlab.nn.cbam import CBAM


def small(**changes) -> ResNet:
    return ResNet(50, num_classes=3, width=4, stem="cifar", **changes)


def test_shared_layers_start_bit_equal_whatever_stands_beside_them():
    plain, attentive = small(), small(conv=AWConv2d, attention=lambda channels: CBAM(channels, 4))
    for network in (plain, attentive):
        initialise(network, 7)
    others = attentive.state_dict()
    shared = plain.state_dict()
    assert len(others) > len(shared)
    for name, values in shared.items():
        assert torch.equal(values, others[name]), name


def test_the_seed_and_the_name_change_the_values():
    first, second = small(), small()
    initialise(first, 0)
    initialise(second, 1)
    assert not torch.equal(first.fc.weight, second.fc.weight)
    blocks = first.state_dict()
    same_shape = ("layer1.1.conv2.weight", "layer1.2.conv2.weight")
    assert not torch.equal(*(blocks[name] for name in same_shape))


def test_a_layer_alone_starts_as_in_its_network():
    network, layer = small(conv=AWConv2d), small(conv=AWConv2d).get_submodule("layer1.1.conv2")
    initialise(network, 3)
    initialise(layer, 3, prefix="layer1.1.conv2")
    own = network.get_submodule("layer1.1.conv2").state_dict()
    for name, values in layer.state_dict().items():
        assert torch.equal(values, own[name]), name


def test_nothing_of_the_construction_remains_and_no_random_state_is_moved():
    torch.manual_seed(0)
    first = small()
    second = small()
    for network in (first, second):
        initialise(network, 5)
    initialised = torch.get_rng_state()
    torch.manual_seed(0)
    for _ in range(2):
        small()
    assert torch.equal(torch.get_rng_state(), initialised)
    for name, values in first.state_dict().items():
        assert torch.equal(values, second.state_dict()[name]), name


def test_convolutions_have_the_variance_of_he():
    conv = nn.Conv2d(64, 128, 3)
    initialise(conv, 0)
    assert conv.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.01)
    assert conv.weight.mean().item() == pytest.approx(0, abs=5e-4)
    assert conv.bias is not None
    assert not conv.bias.any()


def test_a_module_comes_after_those_it_holds():
    cbam = CBAM(8)
    nn.init.ones_(cbam.spatial.bn.weight)
    initialise(cbam, 0)
    assert not cbam.spatial.bn.weight.any()


def test_running_statistics_start_anew():
    network = small(conv=lambda *shape, **keywords: AWConv2d(*shape, **keywords, expand={"n": 2}))
    before = {name: values.clone() for name, values in network.named_buffers()}
    network(torch.randn(2, 3, 8, 8))
    initialise(network, 0)
    for name, values in network.named_buffers():
        assert torch.equal(values, before[name]), name


def test_a_class_can_be_registered():
    class Ones(nn.Conv2d):
        pass

    @reset.register
    def _(module: Ones) -> None:
        nn.init.ones_(module.weight)

    conv = Ones(2, 2, 1)
    initialise(conv, 0)
    assert torch.equal(conv.weight, torch.ones(2, 2, 1, 1))


def test_leaves_the_meta_device_alone():
    with torch.device("meta"):
        conv = nn.Conv2d(2, 2, 1)
    initialise(conv, 0)
    assert conv.weight.is_meta
