"""Handwritten digits (Alpaydin and Kaynak 1998), as scikit-learn carries them."""

import numpy as np
import torch

from awlab.data.demo_extra import import_demo
from awlab.data.image_set import ImageArray, ImageSet, channel_statistics, hold_out

# The images are ordered by writer, so that the last fifth comes from hands unseen in training.
TEST_IMAGES = 360
_GREY_LEVELS = 16


def load_digits(*, validation_fraction: float, split_seed: int = 0) -> ImageSet:
    """Read 1,797 grey 8x8 images.

    Args:
        validation_fraction: Part of the training images that is held out.
        split_seed: Decides which.

    Raises:
        DataError: When scikit-learn is not installed.
    """
    digits = import_demo("sklearn.datasets", needed_by="digits").load_digits()
    grey = np.rint(digits.images * (255 / _GREY_LEVELS)).astype(np.uint8)
    images = ImageArray(torch.from_numpy(grey)[:, None], torch.from_numpy(digits.target).long())
    first_of_test = len(grey) - TEST_IMAGES
    train, val = hold_out(images.labels[:first_of_test], validation_fraction, seed=split_seed)
    training = images.subset(train)
    mean, std = channel_statistics(training.pixels)
    return ImageSet(
        train=training,
        val=images.subset(val),
        test=images.subset(torch.arange(first_of_test, len(grey))),
        class_names=tuple(str(digit) for digit in range(10)),
        mean=mean,
        std=std,
    )
