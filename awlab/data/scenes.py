"""Images with objects in them: three splits, and what the classes are called."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image
from torch import Tensor

from awlab.data.errors import DataError
from awlab.data.image_files import decode
from awlab.data.image_set import hold_out
from awlab.data.objects import Objects


class Scenes(Protocol):
    """The images of one split and their objects; implement it to bring images from elsewhere."""

    in_memory: ClassVar[bool]
    """Whether `read` is so cheap that processes of its own would not pay."""

    @property
    def objects(self) -> Objects:
        """Of each image."""
        ...

    def read(self, index: int) -> Tensor:
        """Return an image, uint8 (3, H, W).

        Raises:
            DataError: When it cannot be read; the message names it.
        """
        ...


@dataclass(frozen=True, eq=False)
class SceneArray:
    """Images of one size, held in memory."""

    in_memory: ClassVar[bool] = True

    pixels: Tensor
    """uint8, shape (images, 3, H, W)."""
    objects: Objects

    def read(self, index: int) -> Tensor:
        """Select."""
        return self.pixels[index]


@dataclass(frozen=True, eq=False)
class SceneFiles:
    """Images in files, of any sizes."""

    in_memory: ClassVar[bool] = False

    paths: np.ndarray
    """As bytes in one array, for the reason that `Objects` gives."""
    sizes: Tensor
    """Width and height that the annotation says, pixels, int64, shape (images, 2)."""
    objects: Objects

    @classmethod
    def of(
        cls, paths: Sequence[str], sizes: Sequence[tuple[int, int]], objects: Objects
    ) -> "SceneFiles":
        """Take the path, the size and the objects of each image."""
        assert len(paths) == len(sizes) == len(objects), (len(paths), len(sizes), len(objects))
        encoded = np.array([os.fsencode(path) for path in paths])
        return cls(encoded, torch.tensor(sizes, dtype=torch.int64).view(-1, 2), objects)

    def read(self, index: int) -> Tensor:
        """Decode."""
        path = os.fsdecode(self.paths[index])
        image = decode(path, index)
        said = tuple(self.sizes[index].tolist())
        if image.size != said:
            raise DataError(
                f"{path} has {image.width} x {image.height} pixels, its annotation says "
                f"{said[0]} x {said[1]}: the boxes may not fit"
            )
        return F.pil_to_tensor(image)

    def subset(self, indices: Tensor) -> "SceneFiles":
        """Keep only these images, in this order."""
        return SceneFiles(
            self.paths[indices.numpy()], self.sizes[indices], self.objects.subset(indices)
        )

    def with_objects(self, objects: Objects) -> "SceneFiles":
        """Take other objects of the same images."""
        return replace(self, objects=objects)

    def hold_out(self, fraction: float, *, seed: int) -> tuple["SceneFiles", "SceneFiles"]:
        """Split off a fraction of images at random, as the seed says: what remains, what not."""
        alike = torch.zeros(len(self.objects), dtype=torch.int64)
        rest, held_out = hold_out(alike, fraction, seed=seed)
        return self.subset(rest), self.subset(held_out)


@dataclass(frozen=True, eq=False)
class SceneSet:
    """A training, a validation and a test split."""

    train: Scenes
    val: Scenes
    test: Scenes
    class_names: tuple[str, ...]
    """Of labels 1, 2, ...; the background, 0, has no name."""

    def __post_init__(self) -> None:
        for split, scenes in (("validation", self.val), ("test", self.test)):
            if not (scenes.objects.iscrowd == 0).any():
                raise DataError(
                    f"the {len(scenes.objects)} {split} images have no objects to find: a detector "
                    "cannot be measured on them"
                )


def as_picture(image: Tensor) -> Image.Image:
    """Turn bytes (3, H, W) into a picture."""
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
