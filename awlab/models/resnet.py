"""ResNet (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016)."""

# Shape suffixes: N batch, C channels, H W image, K classes.

from collections.abc import Collection
from functools import partial

from torch import Tensor, nn

from awlab.models.stage import AttentionFactory, ConvFactory, stage
from awlab.nn.location import inside


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, both made by `conv`."""

    expansion = 1

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
        with inside("conv1"):
            self.conv1 = conv(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        with inside("conv2"):
            self.conv2 = conv(out_channels, out_channels, 3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        with inside("attention"):
            self.attention = attention(out_channels)
        self.downsample = _downsample(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y_NCHW = self.relu(self.bn1(self.conv1(x_NCHW)))
        y_NCHW = self.attention(self.bn2(self.conv2(y_NCHW)))
        return self.relu(y_NCHW + self.downsample(x_NCHW))


class Bottleneck(nn.Module):
    """A 3x3 convolution, made by `conv`, between two of 1x1 (Zhu et al., Figure 2a)."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        conv: ConvFactory,
        attention: AttentionFactory,
        stride_in: str,
    ) -> None:
        super().__init__()
        channels = out_channels // self.expansion
        stride_1x1, stride_3x3 = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, channels, 1, stride=stride_1x1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        with inside("conv2"):
            self.conv2 = conv(channels, channels, 3, stride=stride_3x3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        with inside("attention"):
            self.attention = attention(out_channels)
        self.downsample = _downsample(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y_NCHW = self.relu(self.bn1(self.conv1(x_NCHW)))
        y_NCHW = self.relu(self.bn2(self.conv2(y_NCHW)))
        y_NCHW = self.attention(self.bn3(self.conv3(y_NCHW)))
        return self.relu(y_NCHW + self.downsample(x_NCHW))


BLOCKS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""Depth to the blocks of the four stages (He et al., Table 1)."""


class ResNet(nn.Module):
    """ResNet-18 to -152, with torchvision's names of parameters.

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_classes: Outputs.
        channels: Colour channels of the images.
        width: Channels of the stem.
        stem: "imagenet": 7x7 of stride 2 and max-pool; "cifar": 3x3 of stride 1.
        stride_in: Which convolution of a bottleneck has the stride: "1x1" (v1) or "3x3" (v1.5).
        conv: Makes the 3x3 convolutions of the blocks of `conv_stages`.
        conv_stages: Some of 1 to 4; the other stages have plain convolutions.
        attention: Makes the module after the last norm of each block.

    Shape:
        Images (N, channels, H, W) to logits (N, num_classes).

    Raises:
        ValueError: For another depth, stem or stride_in, or from a factory, with the layer's name.
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int,
        channels: int = 3,
        width: int = 64,
        stem: str = "imagenet",
        stride_in: str = "1x1",
        conv: ConvFactory = nn.Conv2d,
        conv_stages: Collection[int] = (1, 2, 3, 4),
        attention: AttentionFactory = nn.Identity,
    ) -> None:
        super().__init__()
        _check_choice("depth", depth, BLOCKS)
        _check_choice("stem", stem, ("imagenet", "cifar"))
        _check_choice("stride_in", stride_in, ("1x1", "3x3"))
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

        block, blocks = BLOCKS[depth]
        extra = {"stride_in": stride_in} if block is Bottleneck else {}
        widths = (width, *(block.expansion * width * 2**number for number in range(4)))

        def layer(number: int) -> nn.Sequential:
            with inside(f"layer{number}"):
                return stage(
                    blocks[number - 1],
                    partial(
                        block,
                        conv=conv if number in conv_stages else nn.Conv2d,
                        attention=attention,
                        **extra,
                    ),
                    (widths[number - 1], widths[number]),
                    1 if number == 1 else 2,
                )

        self.layer1, self.layer2, self.layer3, self.layer4 = map(layer, (1, 2, 3, 4))
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = self.maxpool(self.relu(self.bn1(self.conv1(x_NCHW))))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x_NCHW = layer(x_NCHW)
        return self.fc(x_NCHW.mean((2, 3)))


def _downsample(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def _check_choice(name: str, value: object, allowed: Collection[object]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} (={value!r}) must be one of {', '.join(map(str, allowed))}")
