"""MobileNet v1 (Howard et al., "MobileNets", 2017, arXiv 1704.04861)."""

# Shape suffixes: N batch, C channels, H W image, K classes.

from itertools import cycle

from torch import Tensor, nn

from awlab.models.stage import AttentionFactory, ConvFactory, stage
from awlab.nn.location import inside

STEM_CHANNELS = 32
CHANNELS = (64, 128, 256, 512, 1024)
BLOCKS = (1, 2, 2, 6, 2)
"""Of each resolution (Howard et al., Table 1)."""
LEAST_CHANNELS = 8


class SeparableBlock(nn.Module):
    """A 3x3 depthwise convolution, then a pointwise one, made by `conv`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        conv: ConvFactory,
        attention: AttentionFactory,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False
        )
        self.bn1 = nn.BatchNorm2d(in_channels)
        with inside("attention1"):
            self.attention1 = attention(in_channels)
        with inside("conv2"):
            self.conv2 = conv(in_channels, out_channels, 1, stride=1, padding=0, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        with inside("attention2"):
            self.attention2 = attention(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = self.attention1(self.relu(self.bn1(self.conv1(x_NCHW))))
        return self.attention2(self.relu(self.bn2(self.conv2(x_NCHW))))


class MobileNet(nn.Module):
    """MobileNet v1: a stem and 13 depthwise separable blocks in five resolutions.

    Args:
        num_classes: Outputs.
        channels: Colour channels of the images.
        width: Width multiplier alpha; a layer has at least 8 channels.
        stem: "imagenet": 3x3 of stride 2; "cifar": 3x3 of stride 1.
        conv: Makes the pointwise convolutions of the blocks of `conv_blocks`.
        conv_blocks: "all", "odd" or "even" ones, counted from 1; the others are plain.
        attention: Makes the modules after the activations of both convolutions of each block, the
            placement that has the parameters of Zhu et al., Table 1.

    Shape:
        Images (N, channels, H, W) to logits (N, num_classes).

    Raises:
        ValueError: For another stem or conv_blocks, or from a factory, with the layer's name.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int = 3,
        width: float = 1.0,
        stem: str = "imagenet",
        conv: ConvFactory = nn.Conv2d,
        conv_blocks: str = "all",
        attention: AttentionFactory = nn.Identity,
    ) -> None:
        super().__init__()
        if stem not in ("imagenet", "cifar"):
            raise ValueError(f"stem (={stem!r}) must be one of imagenet, cifar")
        convs = cycle(_alternating(conv, conv_blocks))
        stem_channels, *widths = (
            max(int(planned * width), LEAST_CHANNELS) for planned in (STEM_CHANNELS, *CHANNELS)
        )

        def block(in_channels: int, out_channels: int, stride: int) -> SeparableBlock:
            return SeparableBlock(
                in_channels, out_channels, stride, conv=next(convs), attention=attention
            )

        def layer(number: int) -> nn.Sequential:
            in_channels = stem_channels if number == 1 else widths[number - 2]
            with inside(f"layer{number}"):
                return stage(
                    BLOCKS[number - 1],
                    block,
                    (in_channels, widths[number - 1]),
                    1 if number == 1 else 2,
                )

        self.conv1 = nn.Conv2d(
            channels, stem_channels, 3, stride=2 if stem == "imagenet" else 1, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.relu = nn.ReLU(inplace=True)
        self.layer1, self.layer2, self.layer3, self.layer4, self.layer5 = map(layer, range(1, 6))
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = self.relu(self.bn1(self.conv1(x_NCHW)))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4, self.layer5):
            x_NCHW = layer(x_NCHW)
        return self.fc(x_NCHW.mean((2, 3)))


def _alternating(conv: ConvFactory, blocks: str) -> tuple[ConvFactory, ...]:
    """Return what makes the convolutions of the first blocks, until it repeats."""
    periods = {"all": (conv,), "odd": (conv, nn.Conv2d), "even": (nn.Conv2d, conv)}
    if blocks not in periods:
        raise ValueError(f"conv_blocks (={blocks!r}) must be one of {', '.join(periods)}")
    return periods[blocks]
