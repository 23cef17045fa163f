"""Networks from their specs, with their initial weights."""

from functools import partial, singledispatch

import torch
from torch import nn

from awlab.build import weights
from awlab.build.layers import attention_factory, build_conv, conv_factory
from awlab.build.registry import unregistered
from awlab.models import MobileNet, ResNet, aa_wide_resnet, wide_resnet
from awlab.models.initialise import initialise
from awlab.nn.location import LayerError
from awlab.spec import model as model_spec
from awlab.spec.base import Family
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment


def network(experiment: Experiment, *, begin: bool = True) -> nn.Module:
    """Build the network of an experiment with its initial weights.

    They depend on the seed and on the name of each layer only (see `initial_weights`), so layers
    that two variants share start bit-equal, unless the experiment names weights to begin with. On
    the meta device, nothing is initialised.

    Args:
        experiment: Whose network.
        begin: False where the weights of a checkpoint follow: no others are read or fetched.

    Raises:
        InputError: When a layer does not fit, with its dotted name, or weights cannot be read.
    """
    images = experiment.data
    spec = experiment.model if begin else experiment.model.structure
    try:
        with torch.random.fork_rng(devices=[]):
            # For modules that draw weights when they are built and never again, and for `convert`.
            torch.default_generator.manual_seed(experiment.seed)
            model = build_model(
                spec,
                num_classes=images.num_classes,
                channels=images.channels,
                image_size=images.image_size,
            )
        if begin:
            initial_weights(spec, model, experiment.seed)
            weights.start(spec, model)
    except LayerError as error:
        raise InputError(f"model {error}") from error
    except ValueError as error:
        raise InputError(f"model: {error}") from error
    return model


@singledispatch
def build_model(spec: Family, *, num_classes: int, channels: int, image_size: int) -> nn.Module:
    """Return a network from images (N, channels, image_size, image_size) to (N, num_classes)."""
    raise unregistered(spec, "build_model")


@singledispatch
def initial_weights(spec: Family, network: nn.Module, seed: int) -> None:
    """Give the network of that spec its initial weights, in place.

    By default with `initialise`, from the seed and the names of its layers. Register a class whose
    network is built with weights that it must keep.
    """
    initialise(network, seed)


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


@build_model.register
def _(spec: model_spec.MobileNet, *, num_classes: int, channels: int, image_size: int) -> nn.Module:
    return MobileNet(
        num_classes=num_classes,
        channels=channels,
        width=spec.width,
        stem=spec.stem,
        conv=conv_factory(spec.conv),
        conv_blocks=spec.conv_blocks,
        attention=attention_factory(spec.attention),
    )
