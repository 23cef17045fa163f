import pytest
import torch
import torch.nn.functional as F
from torch import nn

from awlab.models.wide_resnet import wide_resnet
from awlab.nn import CBAM, AWConv2d
from awlab.nn.location import LayerError


def test_parameters_of_wrn_28_10():
    """36.5 M in Zagoruyko and Komodakis 2016, Table 4."""
    with torch.device("meta"):
        network = wide_resnet(28, 10, num_classes=100)
    assert sum(parameter.numel() for parameter in network.parameters()) == 36_536_884


def test_equals_the_definition():
    """Norm, ReLU and convolution twice, beside the identity or a 1x1 convolution."""
    torch.manual_seed(0)
    network = wide_resnet(16, 1, num_classes=3).eval()
    state = network.state_dict()
    for name, values in state.items():
        if "running_var" in name:
            values.uniform_(0.5, 2)
        elif "running_mean" in name or "bias" in name:
            values.normal_()

    def activate(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.relu(F.batch_norm(x, *(state[f"{name}.{part}"] for part in parts)))

    x = torch.randn(2, 3, 8, 8)
    y = F.conv2d(x, state["conv1.weight"], padding=1)
    for number, stride in ((1, 1), (2, 2), (3, 2)):
        for index in (0, 1):
            block, stride_here = f"layer{number}.{index}", stride if index == 0 else 1
            a = activate(y, f"{block}.bn1")
            shortcut = state.get(f"{block}.shortcut.weight")
            b = F.conv2d(a, state[f"{block}.conv1.weight"], stride=stride_here, padding=1)
            b = F.conv2d(activate(b, f"{block}.bn2"), state[f"{block}.conv2.weight"], padding=1)
            y = b + (y if shortcut is None else F.conv2d(y, shortcut, stride=stride_here))
    features = activate(y, "bn").mean((2, 3))
    expected = features @ state["fc.weight"].T + state["fc.bias"]
    with torch.no_grad():
        torch.testing.assert_close(network(x), expected)
    # With width 1 the first stage keeps 16 channels and its blocks need no convolution there.
    assert [name for name in state if "shortcut" in name] == [
        "layer2.0.shortcut.weight",
        "layer3.0.shortcut.weight",
    ]


@pytest.mark.parametrize("attention", [nn.Identity, CBAM])
@pytest.mark.parametrize("conv", [nn.Conv2d, AWConv2d])
def test_every_combination_learns(conv, attention):
    network = wide_resnet(10, 1, num_classes=3, channels=1, conv=conv, attention=attention)
    network(torch.randn(2, 1, 8, 8)).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_dropout_stands_before_the_second_convolution():
    torch.manual_seed(0)
    network = wide_resnet(10, 1, num_classes=2, dropout=0.5)
    seen = []
    block = network.get_submodule("layer1.0")
    network.get_submodule("layer1.0.conv2").register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    x = torch.randn(2, 16, 16, 16)
    block(x)
    network.get_submodule("layer1.0.dropout").eval()
    block(x)
    dropped, kept = ((values > 0).float().mean().item() for values in seen)
    assert dropped == pytest.approx(kept / 2, abs=0.05)
    assert kept > 0.4


def test_conv_is_used_in_its_stages_only():
    network = wide_resnet(10, 1, num_classes=2, conv=AWConv2d, conv_stages=(3,))
    names = [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]
    assert names == ["layer3.0.conv1", "layer3.0.conv2"]


def test_names_the_layer_that_does_not_fit():
    def conv(*shape, **keywords):
        return AWConv2d(*shape, **keywords, expand={"c1": 32})

    with pytest.raises(LayerError, match=r"^layer1\.0\.conv1: expand ratio of c1 \(=32\) must"):
        wide_resnet(10, 1, num_classes=2, conv=conv)


@pytest.mark.parametrize("depth", [4, 12, 27])
def test_refuses_another_depth(depth):
    with pytest.raises(ValueError, match=rf"^depth \(={depth}\) must be 6 n \+ 4 with n >= 1: 10"):
        wide_resnet(depth, 1, num_classes=2)
