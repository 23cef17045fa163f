"""Image sets: three splits and what the classes are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor

from awlab.data.errors import DataError
from awlab.data.randomness import Stream, fold, uniform


class Images(Protocol):
    """The images of one split; implement it to bring images from elsewhere."""

    in_memory: ClassVar[bool]
    """Whether `read` is so cheap that processes of its own would not pay."""

    @property
    def labels(self) -> Tensor:
        """Class of each image, int64, shape (images,)."""
        ...

    def read(self, indices: Sequence[int], keys: Tensor | None = None) -> Tensor:
        """Return uint8 images of shape (N, C, H, W).

        Args:
            indices: Positions in the split.
            keys: For a training batch, 64 random bits per image, for changes that are cheapest
                while reading; None where images are to be the same each time.

        Raises:
            DataError: When an image cannot be read; the message names it.
        """
        ...

    def to(self, device: torch.device) -> Self:
        """Return these images on the device, or themselves if they are not held in memory."""
        ...


@dataclass(frozen=True, eq=False)
class ImageArray:
    """Images held in memory."""

    in_memory: ClassVar[bool] = True

    pixels: Tensor
    """uint8, shape (images, C, H, W)."""
    labels: Tensor
    """int64, shape (images,)."""

    def __post_init__(self) -> None:
        assert self.pixels.dtype == torch.uint8, self.pixels.dtype
        assert self.labels.dtype == torch.int64, self.labels.dtype
        assert self.pixels.ndim == 4, self.pixels.shape
        assert len(self.pixels) == len(self.labels), (self.pixels.shape, self.labels.shape)

    def read(self, indices: Sequence[int], keys: Tensor | None = None) -> Tensor:
        """Select images; nothing is random about it."""
        chosen = torch.tensor(indices, dtype=torch.int64).to(self.pixels.device, non_blocking=True)
        return self.pixels.index_select(0, chosen)

    def to(self, device: torch.device) -> "ImageArray":
        """Copy to a device."""
        return ImageArray(self.pixels.to(device), self.labels.to(device))

    def subset(self, indices: Tensor) -> "ImageArray":
        """Keep only these images, in this order."""
        return ImageArray(self.pixels[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A training, a validation and a test split, with the statistics that normalise them."""

    train: Images
    val: Images
    test: Images
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    """Of each channel of the training images, in [0, 1]."""
    std: tuple[float, ...]
    """Of each channel of the training images, in [0, 1]."""


def hold_out(labels: Tensor, fraction: float, *, seed: int) -> tuple[Tensor, Tensor]:
    """Split off a fraction of images at random, of every class alike.

    Args:
        labels: Class of each image.
        fraction: Part of all images that is held out, in (0, 1); at least one image is.
        seed: Decides which.

    Returns:
        Positions of the images that remain and of those held out, each in ascending order.

    Raises:
        DataError: When there are fewer than two images.
    """
    if len(labels) < 2:
        raise DataError(
            f"a validation split needs at least 2 training images, there are {len(labels)}"
        )
    count = min(max(round(fraction * len(labels)), 1), len(labels) - 1)
    chance = uniform(fold(seed, torch.arange(len(labels))), Stream.SPLIT)
    order = chance.argsort()
    order = order[labels[order].argsort(stable=True)]
    sizes = labels.bincount()
    size, first = sizes[labels[order]], (sizes.cumsum(0) - sizes)[labels[order]]
    # The k-th image of a class of n, in random order, stands at (k + offset of the class) / n in
    # [0, 1): the first places over all classes hold the same fraction of every class.
    offset = uniform(fold(seed, labels[order]), Stream.SPLIT_CLASS)
    places = torch.empty_like(chance)
    places[order] = (torch.arange(len(order)) - first + offset) / size
    ranked = places.argsort(stable=True)
    return ranked[count:].sort().values, ranked[:count].sort().values


def channel_statistics(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images, in [0, 1]."""
    scaled = pixels.transpose(0, 1).flatten(1).double() / 255
    return tuple(scaled.mean(1).tolist()), tuple(scaled.std(1, correction=0).tolist())
