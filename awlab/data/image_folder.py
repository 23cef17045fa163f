"""Image sets in the layout of ImageNet: `train/CLASS/*` and `val/CLASS/*`."""

from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset

from awlab.data.class_names import some
from awlab.data.errors import DataError
from awlab.data.image_files import Crops, ImageFiles
from awlab.data.image_set import ImageSet, hold_out


def load_image_folder(
    folder: Path,
    *,
    classes: int,
    crops: Crops,
    validation_fraction: float,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    split_seed: int = 0,
) -> ImageSet:
    """List the images of a folder; the folder `val` is the test set, as usual for ImageNet.

    Args:
        folder: Holds `train` and `val`.
        classes: How many class folders each of them has.
        crops: How images become squares.
        validation_fraction: Part of the training images that is held out.
        mean: Of each channel in [0, 1].
        std: Of each channel in [0, 1].
        split_seed: Decides which training images are held out.

    Raises:
        DataError: When folders are missing, `train` and `val` have not the same classes or not as
            many as expected, or a class has no images.
    """
    names = _class_names(folder, classes)
    training, test = (_images(folder / split, names, crops) for split in ("train", "val"))
    train, val = hold_out(training.labels, validation_fraction, seed=split_seed)
    return ImageSet(
        train=training.subset(train),
        val=training.subset(val),
        test=test,
        class_names=tuple(names),
        mean=mean,
        std=std,
    )


def _class_names(folder: Path, classes: int) -> list[str]:
    train, val = (_subfolders(folder, split) for split in ("train", "val"))
    differences = [
        f"{len(only)} only in {split}: {some(only)}"
        for split, only in (
            ("train", [name for name in train if name not in set(val)]),
            ("val", [name for name in val if name not in set(train)]),
        )
        if only
    ]
    if differences or len(train) != classes:
        found = f"{len(train)} class folders in train and {len(val)} in val"
        raise DataError(
            "; ".join([f"{folder} has {found}, with data.classes={classes}", *differences])
        )
    return train


def _subfolders(folder: Path, split: str) -> list[str]:
    layout = f"{folder} must hold train/CLASS/* and val/CLASS/*"
    if not (folder / split).is_dir():
        raise DataError(f"{layout}: {folder / split} is missing")
    try:
        return find_classes(folder / split)[0]
    except FileNotFoundError:
        raise DataError(f"{layout}: {folder / split} has no class folders") from None


def _images(folder: Path, names: list[str], crops: Crops) -> ImageFiles:
    numbers = {name: label for label, name in enumerate(names)}
    files = make_dataset(folder, numbers, extensions=IMG_EXTENSIONS, allow_empty=True)
    filled = {label for _, label in files}
    empty = [name for name, label in numbers.items() if label not in filled]
    if empty:
        raise DataError(
            f"{folder} has no images ({', '.join(IMG_EXTENSIONS)}) of {len(empty)} classes: "
            f"{some(empty)}"
        )
    return ImageFiles.of(files, crops)
