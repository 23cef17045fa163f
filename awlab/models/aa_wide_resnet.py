"""The attention-augmented Wide ResNet (Bello et al. 2019; Zhu et al., Figure 2b and Table 2)."""

from collections.abc import Callable
from functools import partial

from torch import nn

from awlab.models.stage import AttentionFactory, ConvFactory
from awlab.models.wide_resnet import WideResNet, stage_widths
from awlab.nn.augmented_conv import AttentionAugmentedConv2d


def aa_wide_resnet(
    depth: int,
    width: int,
    *,
    num_classes: int,
    image_size: int,
    heads: int,
    dims: Callable[[int], tuple[int, int]],
    channels: int = 3,
    dropout: float = 0.0,
    qkv_kernel_size: int = 3,
    relative: bool = True,
    conv: ConvFactory = nn.Conv2d,
    qkv_conv: ConvFactory = nn.Conv2d,
    out_conv: ConvFactory = nn.Conv2d,
    second_conv: ConvFactory = nn.Conv2d,
    attention: AttentionFactory = nn.Identity,
) -> WideResNet:
    """Build a Wide ResNet whose blocks begin with an attention-augmented convolution.

    All convolutions have biases, as the parameter counts of Table 2 ask for.

    Args:
        depth: As the following ones, of `WideResNet`.
        width: Widening factor.
        num_classes: Outputs.
        image_size: Height and width of the images, to which the position tables are made.
        heads: Of each augmented convolution.
        dims: Output channels of an augmented convolution to its key and value dims.
        channels: Colour channels of the images.
        dropout: Before the second convolution of a block.
        qkv_kernel_size: Of the convolution that makes queries, keys and values.
        relative: Whether the logits have relative position terms.
        conv: Makes the convolution beside the attention (1 of Figure 2b).
        qkv_conv: Makes the convolution to queries, keys and values (2).
        out_conv: Makes the convolution that mixes the heads (3).
        second_conv: Makes the second convolution of each block (0).
        attention: Makes the module after it.

    Raises:
        ValueError: As `WideResNet` and `AttentionAugmentedConv2d`, with the layer's name.
    """

    def augmented(out_channels: int, size: int) -> ConvFactory:
        key_dims, value_dims = dims(out_channels)
        return partial(
            AttentionAugmentedConv2d,
            heads=heads,
            key_dims=key_dims,
            value_dims=value_dims,
            image_size=size if relative else None,
            qkv_kernel_size=qkv_kernel_size,
            conv=conv,
            qkv_conv=qkv_conv,
            out_conv=out_conv,
        )

    sizes = (image_size, -(-image_size // 2), -(-image_size // 4))  # strides 1, 2, 2 of 3x3 kernels
    return WideResNet(
        depth,
        width,
        num_classes=num_classes,
        convs=[
            (augmented(out_channels, size), second_conv)
            for out_channels, size in zip(stage_widths(width), sizes, strict=True)
        ],
        channels=channels,
        dropout=dropout,
        attention=attention,
        bias=True,
    )
