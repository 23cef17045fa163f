"""Layers, usable without the rest of awlab."""

from torchvision.ops import SqueezeExcitation as SqueezeExcitation

from awlab.nn.augmented_conv import AttentionAugmentedConv2d as AttentionAugmentedConv2d
from awlab.nn.aw_conv import AWConv2d as AWConv2d
from awlab.nn.cbam import CBAM as CBAM
