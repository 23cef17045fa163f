import pytest
import torch
import torchvision
from torch import nn

from awlab.models.resnet import ResNet
from awlab.nn import CBAM, AWConv2d, SqueezeExcitation
from awlab.nn.location import LayerError

ATTENTIONS = {
    "none": nn.Identity,
    "se": lambda channels: SqueezeExcitation(channels, max(channels // 16, 1)),
    "cbam": CBAM,
    "cbam_max_pool": lambda channels: CBAM(channels, variant="max_pool"),
    "cbam_spatial": lambda channels: CBAM(channels, variant="spatial"),
}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("conv", "attention", "expected"),
    [
        (nn.Conv2d, "none", 23_705_252),
        (AWConv2d, "none", 23_870_460),
        (nn.Conv2d, "se", 26_236_244),
        (AWConv2d, "se", 26_401_452),
        (nn.Conv2d, "cbam", 26_237_844),
        (AWConv2d, "cbam", 26_403_052),
    ],
)
def test_parameters_of_table_2(conv, attention, expected):
    """Printed: 23.71, 23.87, 26.24, 26.40, 26.24, 26.40 M."""
    with torch.device("meta"):
        network = ResNet(
            50, num_classes=100, stem="cifar", conv=conv, attention=ATTENTIONS[attention]
        )
    assert parameters(network) == expected


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_has_torchvisions_names_and_shapes(depth):
    with torch.device("meta"):
        ours = ResNet(depth, num_classes=1000).state_dict()
        theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None).state_dict()
    assert {name: values.shape for name, values in ours.items()} == {
        name: values.shape for name, values in theirs.items()
    }


@pytest.mark.parametrize("depth", [18, 50])
def test_v1_5_equals_torchvision(depth):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None, num_classes=5).eval()
    ours = ResNet(depth, num_classes=5, stride_in="3x3").eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


def test_v1_has_the_stride_in_the_first_1x1_convolution():
    def strided(network):
        return [
            name
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1) and "downsample" not in name
        ]

    v1, v1_5 = (ResNet(50, num_classes=2, width=4, stride_in=where) for where in ("1x1", "3x3"))
    assert strided(v1) == ["conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"]
    assert strided(v1_5) == ["conv1", "layer2.0.conv2", "layer3.0.conv2", "layer4.0.conv2"]


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("conv", [nn.Conv2d, AWConv2d])
@pytest.mark.parametrize("depth", [18, 50])
def test_every_combination_learns(depth, conv, attention):
    torch.manual_seed(0)
    network = ResNet(
        depth,
        num_classes=3,
        channels=1,
        width=2,
        stem="cifar",
        conv=conv,
        attention=ATTENTIONS[attention],
    )
    logits = network(torch.randn(2, 1, 16, 16))
    assert logits.shape == (2, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_attention_stands_after_the_last_norm_before_the_addition():
    class Silence(nn.Module):
        def __init__(self, channels):
            super().__init__()

        def forward(self, x):
            return 0 * x

    torch.manual_seed(0)
    for depth in (18, 50):
        network = ResNet(depth, num_classes=2, width=4, attention=Silence).eval()
        block = network.get_submodule("layer2.0")
        downsample = network.get_submodule("layer2.0.downsample")
        x = torch.randn(1, 4 if depth == 18 else 16, 8, 8)
        torch.testing.assert_close(block(x), downsample(x).relu())


def test_conv_is_used_in_its_stages_only():
    network = ResNet(18, num_classes=2, width=4, conv=AWConv2d, conv_stages=(2, 4))
    names = [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]
    assert names == [
        f"layer{number}.{block}.conv{conv}"
        for number in (2, 4)
        for block in (0, 1)
        for conv in (1, 2)
    ]


def test_names_the_layer_that_does_not_fit():
    def conv(*shape, **keywords):
        return AWConv2d(*shape, **keywords, expand={"c1": 8})

    message = r"^layer1\.0\.conv2: expand ratio of c1 \(=8\) must divide its size \(=4\)"
    with pytest.raises(LayerError, match=message):
        ResNet(50, num_classes=2, width=4, conv=conv)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 20}, r"^depth \(=20\) must be one of 18, 34, 50, 101, 152$"),
        ({"stem": "mnist"}, r"^stem \(='mnist'\) must be one of imagenet, cifar$"),
        ({"stride_in": "2x2"}, r"^stride_in \(='2x2'\) must be one of 1x1, 3x3$"),
    ],
)
def test_refuses_unknown_choices(changes, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**({"depth": 18, "num_classes": 2} | changes))
