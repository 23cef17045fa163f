"""Wide ResNet (Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016)."""

# Shape suffixes: N batch, C channels, H W image, K classes.

from collections.abc import Collection, Sequence
from functools import partial

from torch import Tensor, nn

from awlab.models.stage import AttentionFactory, ConvFactory, stage
from awlab.nn.location import inside

STAGES = (1, 2, 3)


class PreActivationBlock(nn.Module):
    """Norm, ReLU and 3x3 convolution, twice; `convs` makes the two convolutions.

    Where the shape changes, a 1x1 convolution of the block's input is the shortcut.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        convs: tuple[ConvFactory, ConvFactory],
        attention: AttentionFactory,
        dropout: float,
        bias: bool,
    ) -> None:
        super().__init__()
        conv1, conv2 = convs
        self.bn1 = nn.BatchNorm2d(in_channels)
        with inside("conv1"):
            self.conv1 = conv1(in_channels, out_channels, 3, stride=stride, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(dropout)
        with inside("conv2"):
            self.conv2 = conv2(out_channels, out_channels, 3, stride=1, padding=1, bias=bias)
        with inside("attention"):
            self.attention = attention(out_channels)
        same = stride == 1 and in_channels == out_channels
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=bias)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y_NCHW = self.conv1(self.relu(self.bn1(x_NCHW)))
        y_NCHW = self.conv2(self.dropout(self.relu(self.bn2(y_NCHW))))
        return self.attention(y_NCHW) + self.shortcut(x_NCHW)


class WideResNet(nn.Module):
    """Three stages of pre-activation blocks; `wide_resnet` and `aa_wide_resnet` fill them.

    Args:
        depth: Layers, 6 n + 4 with n blocks per stage.
        width: Widening factor: the stages have 16, 32, 64 times as many channels.
        num_classes: Outputs.
        convs: For each stage, what makes the first and the second convolution of its blocks.
        channels: Colour channels of the images.
        dropout: Before the second convolution of a block.
        attention: Makes the module after the second convolution of each block.
        bias: Of all convolutions.

    Shape:
        Images (N, channels, H, W) to logits (N, num_classes).

    Raises:
        ValueError: For another depth, or from a factory, with the layer's name.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        *,
        num_classes: int,
        convs: Sequence[tuple[ConvFactory, ConvFactory]],
        channels: int = 3,
        dropout: float = 0.0,
        attention: AttentionFactory = nn.Identity,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth (={depth}) must be 6 n + 4 with n >= 1: 10, 16, 22, 28, ...")
        widths = stage_widths(width)
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=bias)

        def layer(number: int) -> nn.Sequential:
            block = partial(
                PreActivationBlock,
                convs=convs[number - 1],
                attention=attention,
                dropout=dropout,
                bias=bias,
            )
            with inside(f"layer{number}"):
                return stage(
                    (depth - 4) // 6,
                    block,
                    (16 if number == 1 else widths[number - 2], widths[number - 1]),
                    1 if number == 1 else 2,
                )

        self.layer1, self.layer2, self.layer3 = map(layer, STAGES)
        self.bn = nn.BatchNorm2d(widths[-1])
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = self.conv1(x_NCHW)
        for layer in (self.layer1, self.layer2, self.layer3):
            x_NCHW = layer(x_NCHW)
        return self.fc(self.relu(self.bn(x_NCHW)).mean((2, 3)))


def stage_widths(width: int) -> tuple[int, int, int]:
    """Return the channels of the three stages."""
    return 16 * width, 32 * width, 64 * width


def wide_resnet(
    depth: int,
    width: int,
    *,
    num_classes: int,
    channels: int = 3,
    dropout: float = 0.0,
    conv: ConvFactory = nn.Conv2d,
    conv_stages: Collection[int] = STAGES,
    attention: AttentionFactory = nn.Identity,
) -> WideResNet:
    """Build a Wide ResNet in which `conv` makes both convolutions of the blocks of `conv_stages`.

    The other arguments are those of `WideResNet`; convolutions have no biases.
    """
    chosen = [conv if number in conv_stages else nn.Conv2d for number in STAGES]
    return WideResNet(
        depth,
        width,
        num_classes=num_classes,
        convs=[(factory, factory) for factory in chosen],
        channels=channels,
        dropout=dropout,
        attention=attention,
    )
