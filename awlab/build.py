"""From the spec to torch: the only bridge.

Each function is open: a plugin that declares a kind registers how it is built, for example

    @build_attention.register
    def _(spec: Gated, channels: int) -> nn.Module: ...
"""

from functools import partial, singledispatch
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from awlab import data
from awlab.data import Augment, ClassificationData, Crops, DataError, ImageSet
from awlab.models import (
    MobileNet,
    ResNet,
    aa_wide_resnet,
    timm_network,
    torchvision_network,
    wide_resnet,
)
from awlab.models.convert import convert
from awlab.models.initialise import initialise
from awlab.models.stage import AttentionFactory, ConvFactory
from awlab.models.zoo import import_timm
from awlab.nn import CBAM, AWConv2d, SqueezeExcitation
from awlab.nn.location import LayerError
from awlab.spec import attention as attention_spec
from awlab.spec import conv as conv_spec
from awlab.spec import data as data_spec
from awlab.spec import model as model_spec
from awlab.spec import zoo as zoo_spec
from awlab.spec.base import Family
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment


def network(experiment: Experiment) -> nn.Module:
    """Build the network of an experiment with its initial weights.

    They depend on the seed and on the name of each layer only (see `initial_weights`), so layers
    that two variants share start bit-equal. On the meta device, nothing is initialised.

    Raises:
        InputError: When a layer does not fit, with its dotted name.
    """
    images = experiment.data
    try:
        with torch.random.fork_rng(devices=[]):
            # For modules that draw weights when they are built and never again, and for `convert`.
            torch.default_generator.manual_seed(experiment.seed)
            model = build_model(
                experiment.model,
                num_classes=images.num_classes,
                channels=images.channels,
                image_size=images.image_size,
            )
    except LayerError as error:
        raise InputError(f"model {error}") from error
    except ValueError as error:
        raise InputError(f"model: {error}") from error
    initial_weights(experiment.model, model, experiment.seed)
    return model


def build_data(
    spec: data_spec.Data,
    *,
    root: Path,
    batch_size: int,
    seed: int,
    workers: int | Literal["auto"],
    download: bool,
) -> ClassificationData:
    """Find the images of a spec and make batches of them.

    Args:
        spec: Which images; its class is one that `build_images` knows.
        root: Folder of the data sets.
        batch_size: Images per device and micro-batch.
        seed: Of order and augmentation.
        workers: Processes per device that read images.
        download: Whether a missing data set may be downloaded.

    Raises:
        InputError: When images are missing or are not what the spec says.
    """
    try:
        images, augment = build_images(spec, root=root, download=download)
    except DataError as error:
        raise InputError(str(error)) from error
    return ClassificationData(
        images, batch_size=batch_size, seed=seed, augment=augment, workers=workers
    )


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


@singledispatch
def initial_weights(spec: Family, network: nn.Module, seed: int) -> None:
    """Give the network of that spec its initial weights, in place.

    By default with `initialise`, from the seed and the names of its layers. Register a class whose
    network is built with weights that it must keep.
    """
    initialise(network, seed)


@singledispatch
def build_images(spec: Family, *, root: Path, download: bool) -> tuple[ImageSet, Augment]:
    """Return the images below `root` and how those of the training split are changed.

    Raises:
        DataError: When the user can mend what is wrong with them.
    """
    raise _unregistered(spec, "build_images")


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


@build_model.register
def _(
    spec: zoo_spec.Torchvision | zoo_spec.Timm, *, num_classes: int, channels: int, image_size: int
) -> nn.Module:
    build = {"torchvision": torchvision_network, "timm": timm_network}[spec.kind]
    network = build(
        spec.name, num_classes=num_classes, channels=channels, pretrained=spec.pretrained
    )
    if spec.convert is not None:
        convert(
            network,
            build_conv(spec.convert.conv),
            spec.convert.where,
            kernel_size=spec.convert.kernel_size,
            every=spec.convert.every,
            start=spec.convert.start,
        )
    return network


@initial_weights.register
def _(spec: zoo_spec.Zoo, network: nn.Module, seed: int) -> None:
    """Those of the library: read, or drawn under the seed as its authors do it.

    The network is built before layers are converted, and `convert` draws what it adds from the seed
    and the names, so that variants share the rest bit for bit.
    """


@build_images.register
def _(spec: data_spec.CIFAR, *, root: Path, download: bool) -> tuple[ImageSet, Augment]:
    images = data.load_cifar(
        spec.kind,
        root=root,
        validation_fraction=spec.validation_fraction,
        split_seed=spec.split_seed,
        download=download,
    )
    return images, _augment(spec.augmentation)


@build_images.register
def _(spec: data_spec.Digits, *, root: Path, download: bool) -> tuple[ImageSet, Augment]:
    images = data.load_digits(
        validation_fraction=spec.validation_fraction, split_seed=spec.split_seed
    )
    return images, _augment(spec.augmentation)


@build_images.register
def _(spec: data_spec.PhotoPatches, *, root: Path, download: bool) -> tuple[ImageSet, Augment]:
    images = data.load_photo_patches(
        train_patches=spec.train_patches,
        validation_patches=spec.validation_patches,
        test_patches=spec.test_patches,
        split_seed=spec.split_seed,
    )
    return images, _augment(spec.augmentation)


@build_images.register
def _(spec: data_spec.ImageFolder, *, root: Path, download: bool) -> tuple[ImageSet, Augment]:
    changes = spec.augmentation
    images = data.load_image_folder(
        root / spec.folder,
        classes=spec.classes,
        crops=Crops(spec.size, spec.resize, changes.scale, changes.ratio),
        validation_fraction=spec.validation_fraction,
        mean=spec.mean,
        std=spec.std,
        split_seed=spec.split_seed,
    )
    return images, Augment(horizontal_flip=changes.horizontal_flip)


def conv_factory(spec: conv_spec.Conv | None) -> ConvFactory:
    """Return what makes a convolution; None is the ordinary one."""
    return nn.Conv2d if spec is None else build_conv(spec)


def attention_factory(spec: attention_spec.Attention | None) -> AttentionFactory:
    """Return what makes an attention module for some channels; None is none."""
    return nn.Identity if spec is None else partial(build_attention, spec)


def _augment(spec: data_spec.Augmentation) -> Augment:
    return Augment(
        crop_padding=spec.crop_padding,
        horizontal_flip=spec.horizontal_flip,
        rotation=spec.rotation,
    )


def _unregistered(spec: Family, function: str) -> TypeError:
    name = type(spec).__name__
    return TypeError(
        f"nothing builds {name} (kind {getattr(spec, 'kind', None)!r}): register a function for it "
        f"with @awlab.build.{function}.register in the plugin that declares it"
    )
