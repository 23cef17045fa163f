"""Images that are read from their files each time."""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2 import functional as F

from awlab.data.errors import DataError
from awlab.data.randomness import Stream, fold

DAMAGE = (
    Image.DecompressionBombError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
"""What Pillow raises for damaged files, by format."""


@dataclass(frozen=True)
class Crops:
    """How images of any size become squares."""

    size: int
    """Height and width of what is read, pixels."""
    resize: int
    """Shorter side before the centre crop, pixels."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Smallest and largest area of a random crop, over the area of the image."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Smallest and largest width over height of a random crop."""

    def __post_init__(self) -> None:
        if self.resize < self.size:
            raise DataError(
                f"data.resize (={self.resize}) must be at least data.size (={self.size})"
            )
        for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if not 0 < low <= high:
                raise DataError(
                    f"data.augmentation.{name} (={low}, {high}) must be two positive numbers, the "
                    "smaller one first"
                )
        if self.scale[1] > 1:
            raise DataError(
                f"data.augmentation.scale (={self.scale[0]}, {self.scale[1]}) must be at most 1"
            )

    # Images are Pillow's: a fifth faster here than tensors, which torchvision's type hints want.

    def centre(self, image: Any) -> Tensor:
        """Resize the shorter side and take the centre."""
        return F.pil_to_tensor(F.center_crop(F.resize(image, [self.resize]), [self.size]))

    def random(self, image: Any, seed: int) -> Tensor:
        """Take a crop of random area and shape, as the seed says, and resize it."""
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which seeds GPUs, too, and nothing would restore those.
            torch.default_generator.manual_seed(seed)
            box = self._draw.make_params([image])
        return F.pil_to_tensor(F.resized_crop(image, **box, size=[self.size, self.size]))

    @cached_property
    def _draw(self) -> RandomResizedCrop:
        return RandomResizedCrop(self.size, self.scale, self.ratio)


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images in files: training images are cropped at random, others at the centre."""

    in_memory: ClassVar[bool] = False

    paths: np.ndarray
    """As bytes in one array: a million Python strings would be copied into every worker as their
    reference counts change."""
    labels: Tensor
    """int64, shape (images,)."""
    crops: Crops

    @classmethod
    def of(cls, files: Sequence[tuple[str, int]], crops: Crops) -> "ImageFiles":
        """Take pairs of path and class."""
        paths = np.array([os.fsencode(path) for path, _ in files])
        return cls(paths, torch.tensor([label for _, label in files]), crops)

    def read(self, indices: Sequence[int], keys: Tensor | None = None) -> Tensor:
        """Decode and crop."""
        if keys is None:
            return torch.stack([self.crops.centre(self._decode(index)) for index in indices])
        seeds = fold(keys, Stream.RESIZED_CROP).tolist()
        pairs = zip(indices, seeds, strict=True)
        return torch.stack([self.crops.random(self._decode(index), seed) for index, seed in pairs])

    def to(self, device: torch.device) -> "ImageFiles":
        """Stay in files; labels are few and go along with each batch."""
        del device
        return self

    def subset(self, indices: Tensor) -> "ImageFiles":
        """Keep only these images, in this order."""
        return ImageFiles(self.paths[indices.numpy()], self.labels[indices], self.crops)

    def _decode(self, index: int) -> Image.Image:
        return decode(os.fsdecode(self.paths[index]), index)


def decode(path: str, index: int) -> Image.Image:
    """Read an image file as RGB.

    Args:
        path: The file.
        index: Its position in its split, for the message.

    Raises:
        DataError: When it is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except DAMAGE as error:
        raise DataError(f"{path} (image {index} of its split) cannot be read: {error}") from error
