"""Small crops of ten photographs that scikit-image and scikit-learn carry in their wheels."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from awlab.data.demo_extra import import_demo
from awlab.data.errors import DataError
from awlab.data.image_set import ImageArray, ImageSet, channel_statistics
from awlab.data.randomness import Stream, fold, permutation

SIZE = 32
"""Height and width of a crop, pixels."""

STRIPS = {"train": (0.0, 0.6), "val": (0.6, 0.75), "test": (0.75, 1.0)}
"""Strips of a photograph from left to right, as fractions of its width. Nothing is cut across a
border, so that no pixel is in two splits."""

_SCIKIT_IMAGE = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
    "retina",
    "hubble_deep_field",
    "immunohistochemistry",
)
_SCIKIT_LEARN = ("china", "flower")
_TEST_SEED = 0


def load_photo_patches(
    *, train_patches: int, validation_patches: int, test_patches: int, split_seed: int = 0
) -> ImageSet:
    """Cut colour 32x32 crops out of ten photographs; the class is the photograph.

    Args:
        train_patches: Over all classes, as the other numbers.
        validation_patches: Crops to select by.
        test_patches: Crops to report on: the same ones whatever the seed.
        split_seed: Decides where training and validation crops are cut.

    Raises:
        DataError: When scikit-image or scikit-learn is not installed, or a number of crops is no
            multiple of ten or more than there are.
    """
    photographs = load_photographs(needed_by="photo_patches")
    train = _cut(photographs, "train", train_patches, seed=split_seed)
    mean, std = channel_statistics(train.pixels)
    return ImageSet(
        train=train,
        val=_cut(photographs, "val", validation_patches, seed=split_seed),
        test=_cut(photographs, "test", test_patches, seed=_TEST_SEED),
        class_names=tuple(photographs),
        mean=mean,
        std=std,
    )


def load_photographs(*, needed_by: str) -> dict[str, np.ndarray]:
    """Photographs by name, uint8, shape (H, W, 3).

    Raises:
        DataError: When scikit-image or scikit-learn is not installed.
    """
    image = import_demo("skimage.data", needed_by=needed_by)
    learn = import_demo("sklearn.datasets", needed_by=needed_by)
    left_eye, *_ = image.stereo_motorcycle()
    return {
        **{name: getattr(image, name)() for name in _SCIKIT_IMAGE},
        "motorcycle": left_eye,
        **{name: learn.load_sample_image(f"{name}.jpg") for name in _SCIKIT_LEARN},
    }


def _cut(
    photographs: Mapping[str, np.ndarray], split: str, patches: int, *, seed: int
) -> ImageArray:
    each, rest = divmod(patches, len(photographs))
    if rest or not each:
        raise DataError(
            f"{split} patches (={patches}) must be a positive multiple of {len(photographs)}: as "
            "many of each photograph"
        )
    crops = [
        _crops(
            name,
            photograph,
            split,
            each,
            fold(seed, Stream.PATCHES, list(STRIPS).index(split), label),
        )
        for label, (name, photograph) in enumerate(photographs.items())
    ]
    return ImageArray(torch.cat(crops), torch.arange(len(crops)).repeat_interleave(each))


def _crops(name: str, photograph: np.ndarray, split: str, count: int, key: Tensor) -> Tensor:
    """Cut at `count` distinct positions, which `key` decides; uint8, shape (count, 3, H, W)."""
    left, right = (round(place * photograph.shape[1]) for place in STRIPS[split])
    strip = torch.from_numpy(photograph[:, left:right].copy()).permute(2, 0, 1)
    windows = strip.unfold(1, SIZE, 1).unfold(2, SIZE, 1)
    rows, columns = windows.shape[1:3]
    if count > rows * columns:
        raise DataError(
            f"the {split} part of {name} has {rows * columns} different patches, {count} are "
            "asked for"
        )
    chosen = permutation(rows * columns, key)[:count]
    return windows[:, chosen // columns, chosen % columns].transpose(0, 1).contiguous()
