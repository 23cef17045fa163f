import pytest
import torch
from torch import nn

from awlab.models.aa_wide_resnet import aa_wide_resnet
from awlab.nn import AttentionAugmentedConv2d, AWConv2d
from awlab.nn.location import LayerError

POSITIONS = ["second_conv", "conv", "qkv_conv", "out_conv"]


def paper_dims(out_channels: int) -> tuple[int, int]:
    return int(0.2 * out_channels), int(0.1 * out_channels)


def bello_dims(out_channels: int) -> tuple[int, int]:
    return max(int(0.2 * out_channels), 8 * 20), int(0.1 * out_channels)


def small_dims(out_channels: int) -> tuple[int, int]:
    return out_channels // 4, out_channels // 8


def small(**changes):
    arguments = {"num_classes": 3, "image_size": 8, "heads": 2, "dims": small_dims}
    return aa_wide_resnet(10, 1, **(arguments | changes))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 8_434_652),
        ({"second_conv": AWConv2d}, 8_504_232),
        ({"conv": AWConv2d}, 8_478_554),
        ({"qkv_conv": AWConv2d}, 8_452_322),
        ({"out_conv": AWConv2d}, 8_435_562),
    ],
)
def test_parameters_of_table_2(changes, expected):
    """Printed: 8.43, 8.50, 8.48, 8.45, 8.44 M."""
    with torch.device("meta"):
        network = aa_wide_resnet(
            10, 10, num_classes=100, image_size=32, heads=8, dims=paper_dims, **changes
        )
    assert parameters(network) == expected


def test_parameters_of_bello():
    with torch.device("meta"):
        network = aa_wide_resnet(
            28, 10, num_classes=100, image_size=32, heads=8, dims=bello_dims, qkv_kernel_size=1
        )
    assert parameters(network) == 36_327_044


@pytest.mark.parametrize("image_size", [8, 9, 11])
@pytest.mark.parametrize("position", [None, *POSITIONS])
def test_every_combination_learns(position, image_size):
    network = small(image_size=image_size, **({position: AWConv2d} if position else {}))
    network(torch.randn(2, 3, image_size, image_size)).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("position", "where"),
    list(zip(POSITIONS, ["2", "1.conv", "1.qkv_conv", "1.out_conv"], strict=True)),
)
def test_positions(position, where):
    network = small(**{position: AWConv2d})
    names = [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]
    assert names == [f"layer{number}.0.conv{where}" for number in (1, 2, 3)]


def test_tables_fit_the_maps_of_each_stage():
    network = small(image_size=11)
    sizes = [
        layer.image_size
        for layer in network.modules()
        if isinstance(layer, AttentionAugmentedConv2d)
    ]
    assert sizes == [(11, 11), (6, 6), (3, 3)]


def test_without_relative_positions_there_are_no_tables():
    network = small(relative=False)
    assert not [name for name, _ in network.named_parameters() if "key_rel" in name]
    assert network(torch.randn(1, 3, 5, 5)).shape == (1, 3)


def test_names_the_layer_that_does_not_fit():
    def conv(*shape, **keywords):
        return AWConv2d(*shape, **keywords, expand={"c1": 32})

    message = r"^layer1\.0\.conv1\.qkv_conv: expand ratio of c1 \(=32\) must divide its size"
    with pytest.raises(LayerError, match=message):
        small(qkv_conv=conv)
