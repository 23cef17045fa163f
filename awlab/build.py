"""From the spec to torch: the only bridge.

Each function is open: a plugin that declares a kind registers how it is built, for example

    @build_attention.register
    def _(spec: Gated, channels: int) -> nn.Module: ...
"""

from functools import partial, singledispatch

import torch
from torch import nn

from awlab.models import ResNet, aa_wide_resnet, wide_resnet
from awlab.models.initialise import initialise
from awlab.models.stage import AttentionFactory, ConvFactory
from awlab.nn import CBAM, AWConv2d, SqueezeExcitation
from awlab.nn.location import LayerError
from awlab.spec import attention as attention_spec
from awlab.spec import conv as conv_spec
from awlab.spec import model as model_spec
from awlab.spec.base import Family
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment


def network(experiment: Experiment) -> nn.Module:
    """Build the network of an experiment with its initial weights.

    They depend on the seed and on the name of each layer only (see `initialise`), so layers that
    two variants share start bit-equal. On the meta device, nothing is initialised.

    Raises:
        InputError: When a layer does not fit, with its dotted name.
    """
    data = experiment.data
    try:
        with torch.random.fork_rng(devices=[]):
            # For modules that draw weights when they are built and never again.
            torch.default_generator.manual_seed(experiment.seed)
            model = build_model(
                experiment.model,
                num_classes=data.num_classes,
                channels=data.channels,
                image_size=data.image_size,
            )
    except LayerError as error:
        raise InputError(f"model {error}") from error
    except ValueError as error:
        raise InputError(f"model: {error}") from error
    initialise(model, experiment.seed)
    return model


@singledispatch
def build_conv(spec: Family) -> ConvFactory:
    """Return what is called in the place of `nn.Conv2d`, with its arguments."""
    raise _unregistered(spec, "build_conv")


@singledispatch
def build_attention(spec: Family, channels: int) -> nn.Module:
    """Return a module that refines activations of that many channels, (N, channels, H, W)."""
    raise _unregistered(spec, "build_attention")


@singledispatch
def build_model(spec: Family, *, num_classes: int, channels: int, image_size: int) -> nn.Module:
    """Return a network from images (N, channels, image_size, image_size) to (N, num_classes)."""
    raise _unregistered(spec, "build_model")


@build_conv.register
def _(spec: conv_spec.AWConvolution) -> ConvFactory:
    return partial(
        AWConv2d,
        expand=spec.expand,
        f2=spec.f2,
        reduction=spec.reduction,
        min_hidden=spec.min_hidden,
    )


@build_attention.register
def _(spec: attention_spec.SqueezeExcitation, channels: int) -> nn.Module:
    return SqueezeExcitation(channels, max(channels // spec.reduction, 1))


@build_attention.register
def _(spec: attention_spec.CBAM, channels: int) -> nn.Module:
    return CBAM(channels, spec.reduction, spec.variant)


@build_model.register
def _(spec: model_spec.ResNet, *, num_classes: int, channels: int, image_size: int) -> nn.Module:
    return ResNet(
        spec.depth,
        num_classes=num_classes,
        channels=channels,
        width=spec.width,
        stem=spec.stem,
        stride_in=spec.stride_in,
        conv=conv_factory(spec.conv),
        conv_stages=spec.conv_stages,
        attention=attention_factory(spec.attention),
    )


@build_model.register
def _(
    spec: model_spec.WideResNet, *, num_classes: int, channels: int, image_size: int
) -> nn.Module:
    return wide_resnet(
        spec.depth,
        spec.width,
        num_classes=num_classes,
        channels=channels,
        dropout=spec.dropout,
        conv=conv_factory(spec.conv),
        conv_stages=spec.conv_stages,
        attention=attention_factory(spec.attention),
    )


@build_model.register
def _(
    spec: model_spec.AAWideResNet, *, num_classes: int, channels: int, image_size: int
) -> nn.Module:
    positions = ("second_conv", "conv", "qkv_conv", "out_conv")
    aw = {} if spec.aw is None else {positions[spec.aw.position]: build_conv(spec.aw.conv)}
    return aa_wide_resnet(
        spec.depth,
        spec.width,
        num_classes=num_classes,
        image_size=image_size,
        heads=spec.self_attention.heads,
        dims=partial(model_spec.attention_dims, spec.self_attention),
        channels=channels,
        dropout=spec.dropout,
        qkv_kernel_size=spec.self_attention.qkv_kernel_size,
        relative=spec.self_attention.relative,
        attention=attention_factory(spec.attention),
        **aw,
    )


def conv_factory(spec: conv_spec.Conv | None) -> ConvFactory:
    """Return what makes a convolution; None is the ordinary one."""
    return nn.Conv2d if spec is None else build_conv(spec)


def attention_factory(spec: attention_spec.Attention | None) -> AttentionFactory:
    """Return what makes an attention module for some channels; None is none."""
    return nn.Identity if spec is None else partial(build_attention, spec)


def _unregistered(spec: Family, function: str) -> TypeError:
    name = type(spec).__name__
    return TypeError(
        f"nothing builds {name} (kind {getattr(spec, 'kind', None)!r}): register a function for it "
        f"with @awlab.build.{function}.register in the plugin that declares it"
    )
