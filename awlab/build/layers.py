"""Convolutions and attention modules from their specs."""

from functools import partial, singledispatch

from torch import nn

from awlab.build.registry import unregistered
from awlab.models.cond_conv import CondConv2d
from awlab.models.stage import AttentionFactory, ConvFactory
from awlab.models.zoo import import_timm
from awlab.nn import CBAM, AWConv2d, SqueezeExcitation
from awlab.spec import attention as attention_spec
from awlab.spec import conv as conv_spec
from awlab.spec.base import Family


@singledispatch
def build_conv(spec: Family) -> ConvFactory:
    """Return what is called in the place of `nn.Conv2d`, with its arguments."""
    raise unregistered(spec, "build_conv")


@singledispatch
def build_attention(spec: Family, channels: int) -> nn.Module:
    """Return a module that refines activations of that many channels, (N, channels, H, W)."""
    raise unregistered(spec, "build_attention")


def conv_factory(spec: conv_spec.Conv | None) -> ConvFactory:
    """Return what makes a convolution; None is the ordinary one."""
    return nn.Conv2d if spec is None else build_conv(spec)


def attention_factory(spec: attention_spec.Attention | None) -> AttentionFactory:
    """Return what makes an attention module for some channels; None is none."""
    return nn.Identity if spec is None else partial(build_attention, spec)


@build_conv.register
def _(spec: conv_spec.AWConvolution) -> ConvFactory:
    return partial(
        AWConv2d,
        expand=spec.expand,
        f2=spec.f2,
        reduction=spec.reduction,
        min_hidden=spec.min_hidden,
        norm=spec.norm,
    )


@build_conv.register
def _(spec: conv_spec.CondConvolution) -> ConvFactory:
    return partial(CondConv2d, experts=spec.experts)


@build_attention.register
def _(spec: attention_spec.SqueezeExcitation, channels: int) -> nn.Module:
    return SqueezeExcitation(channels, max(channels // spec.reduction, 1))


@build_attention.register
def _(spec: attention_spec.CBAM, channels: int) -> nn.Module:
    return CBAM(channels, spec.reduction, spec.variant)


@build_attention.register
def _(spec: attention_spec.ECA, channels: int) -> nn.Module:
    layers = import_timm("timm.layers")
    if spec.kernel_size is None:
        return layers.EcaModule(channels)
    return layers.EcaModule(kernel_size=spec.kernel_size)


@build_attention.register
def _(spec: attention_spec.GatherExcite, channels: int) -> nn.Module:
    return import_timm("timm.layers").GatherExcite(channels, extent=spec.extent, use_mlp=False)


@build_attention.register
def _(spec: attention_spec.GlobalContext, channels: int) -> nn.Module:
    return import_timm("timm.layers").GlobalContext(
        channels,
        fuse_add=spec.fusion == "add",
        fuse_scale=spec.fusion == "scale",
        rd_channels=max(channels // spec.reduction, 1),
    )
