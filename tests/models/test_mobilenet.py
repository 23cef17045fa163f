import pytest
import timm
import torch
from torch import nn

from awlab.models.mobilenet import MobileNet
from awlab.nn import CBAM, AWConv2d, SqueezeExcitation
from awlab.nn.location import LayerError

ATTENTIONS = {
    "none": nn.Identity,
    "se": lambda channels: SqueezeExcitation(channels, max(channels // 16, 1)),
    "cbam": CBAM,
    "cbam_spatial": lambda channels: CBAM(channels, variant="spatial"),
}


def aw_layers(network: nn.Module) -> list[str]:
    return [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]


def test_equals_timm():
    """The published network: same weights in the same order, same outputs."""
    torch.manual_seed(0)
    theirs = timm.create_model("mobilenetv1_100", num_classes=7).eval()
    ours = MobileNet(num_classes=7).eval()
    values = list(theirs.state_dict().values())
    names = list(ours.state_dict())
    ours.load_state_dict(dict(zip(names, values, strict=True)))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        # timm cuts its activations off at 6, which is the same where they are small.
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("conv", "blocks", "attention", "expected"),
    [
        (nn.Conv2d, "all", "none", 4_231_976),
        (nn.Conv2d, "all", "se", 5_072_114),
        (AWConv2d, "all", "se", 5_520_858),
        (nn.Conv2d, "all", "cbam", 5_074_714),
        (AWConv2d, "all", "cbam_spatial", 5_523_458),
    ],
)
def test_parameters_of_table_1(conv, blocks, attention, expected):
    """Printed: 4.23, 5.07, 5.52, 5.07, 5.52 M."""
    with torch.device("meta"):
        network = MobileNet(
            num_classes=1000, conv=conv, conv_blocks=blocks, attention=ATTENTIONS[attention]
        )
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_every_second_block_has_fewer_parameters_than_printed():
    """The text of the paper says every second block; 0.45 M more than plain need all 13."""

    def extra(blocks):
        with torch.device("meta"):
            network = MobileNet(num_classes=1000, conv=AWConv2d, conv_blocks=blocks)
        return sum(parameter.numel() for parameter in network.parameters()) - 4_231_976

    assert extra("all") == 448_744
    assert extra("odd") + extra("even") == 448_744
    assert max(extra("odd"), extra("even")) < 250_000


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("conv", [nn.Conv2d, AWConv2d])
def test_every_combination_learns(conv, attention):
    torch.manual_seed(0)
    network = MobileNet(
        num_classes=3,
        channels=1,
        width=0.1,
        stem="cifar",
        conv=conv,
        attention=ATTENTIONS[attention],
    )
    logits = network(torch.randn(3, 1, 16, 16))
    assert logits.shape == (3, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 2, 1])).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_the_conv_takes_the_place_of_pointwise_convolutions_in_its_blocks():
    names = {
        blocks: aw_layers(MobileNet(num_classes=2, width=0.25, conv=AWConv2d, conv_blocks=blocks))
        for blocks in ("all", "odd", "even")
    }
    assert len(names["all"]) == 13
    assert {name.rpartition(".")[2] for name in names["all"]} == {"conv2"}
    assert names["odd"] == names["all"][::2]
    assert names["even"] == names["all"][1::2]


def test_the_width_is_of_all_layers_and_never_below_eight():
    with torch.device("meta"):
        network = MobileNet(num_classes=2, width=0.2)
    shapes = [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert shapes[0] == 8
    assert shapes[2::2] == [12, 25, 25, 51, 51, *[102] * 6, 204, 204]


def test_the_stem_of_small_images_keeps_their_size():
    for stem, stride in (("imagenet", (2, 2)), ("cifar", (1, 1))):
        assert MobileNet(num_classes=2, width=0.1, stem=stem).conv1.stride == stride


def test_names_the_layer_that_does_not_fit():
    def conv(*shape, **keywords):
        return AWConv2d(*shape, **keywords, expand={"c1": 3})

    message = r"^layer1\.0\.conv2: expand ratio of c1 \(=3\) must divide its size \(=8\)"
    with pytest.raises(LayerError, match=message):
        MobileNet(num_classes=2, width=0.1, conv=conv)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem": "mnist"}, r"^stem \(='mnist'\) must be one of imagenet, cifar$"),
        ({"conv_blocks": "some"}, r"^conv_blocks \(='some'\) must be one of all, odd, even$"),
    ],
)
def test_refuses_unknown_choices(changes, message):
    with pytest.raises(ValueError, match=message):
        MobileNet(num_classes=2, **changes)
