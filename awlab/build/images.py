"""Data sets from their specs."""

from functools import singledispatch
from pathlib import Path
from typing import Literal

from awlab import data
from awlab.build.registry import unregistered
from awlab.data import Augment, ClassificationData, Crops, DataError, ImageSet
from awlab.spec import data as data_spec
from awlab.spec.base import Family
from awlab.spec.errors import InputError


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
def build_images(spec: Family, *, root: Path, download: bool) -> tuple[ImageSet, Augment]:
    """Return the images below `root` and how those of the training split are changed.

    Raises:
        DataError: When the user can mend what is wrong with them.
    """
    raise unregistered(spec, "build_images")


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


def _augment(spec: data_spec.Augmentation) -> Augment:
    return Augment(
        crop_padding=spec.crop_padding,
        horizontal_flip=spec.horizontal_flip,
        rotation=spec.rotation,
    )
