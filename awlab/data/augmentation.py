"""Random changes of whole batches of images, on the device that holds them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from awlab.data.randomness import Stream, below, uniform


@dataclass(frozen=True)
class Augment:
    """Pad and crop, mirror, rotate: the usual recipe for CIFAR, in that order.

    What happens to an image depends on its key alone, not on the rest of the batch.
    """

    crop_padding: int = 0
    """Pixels of zero padding around the image before a random crop of its old size."""
    horizontal_flip: bool = False
    """Mirror every second image, at random."""
    rotation: float = 0.0
    """Largest angle of a random rotation about the centre, degrees; corners become zero."""

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Change each image as its key says.

        Args:
            images: Shape (N, C, H, W), values in [0, 255].
            keys: 64 random bits for each image, int64, shape (N,).

        Returns:
            Images of the same shape; of the same type too, unless they are rotated.
        """
        if self.crop_padding or self.horizontal_flip:
            images = self._crop(images, keys)
        if self.rotation:
            turn = uniform(keys, Stream.ROTATION) * 2 - 1
            images = rotate(images.float(), turn * math.radians(self.rotation))
        return images

    def _crop(self, images: Tensor, keys: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padding, offsets = self.crop_padding, 2 * self.crop_padding + 1
        # One number for each image tells where its window begins and whether it is mirrored.
        window = below(keys, Stream.WINDOW, 2 * offsets**2)[:, None]
        top, left, mirrored = window // (2 * offsets), window // 2 % offsets, window % 2
        rows = top + torch.arange(height, device=keys.device)
        column = torch.arange(width, device=keys.device)
        if self.horizontal_flip:
            column = torch.where(mirrored == 1, column.flip(0), column)
        columns = left + column
        padded = F.pad(images, (padding,) * 4)
        # One gather crops and mirrors: it is the slowest operation of the pipeline on a CPU.
        index = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).flatten(1)
        index = index[:, None].expand(-1, images.shape[1], -1)
        return padded.flatten(2).gather(2, index).view_as(images)


def rotate(images: Tensor, angles: Tensor) -> Tensor:
    """Rotate counter-clockwise about the centre, bilinear, with zeros outside.

    Args:
        images: Floats, shape (N, C, H, W).
        angles: Radians, shape (N,), float64, so that sines round to the same float32 on
            every device and at every place of a batch.
    """
    height, width = images.shape[2:]
    device = images.device
    # In half widths and half heights from the centre, as grid_sample wants without aligned corners.
    x = torch.arange(width, device=device) - (width - 1) / 2
    y = (torch.arange(height, device=device) - (height - 1) / 2)[:, None]
    cos = angles.cos().float()[:, None, None]
    sin = angles.sin().float()[:, None, None]
    grid_x = cos * x * (2 / width) - sin * y * (2 / width)
    grid_y = sin * x * (2 / height) + cos * y * (2 / height)
    grid = torch.stack((grid_x, grid_y), dim=1).permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, align_corners=False)


class Normalize:
    """Bring uint8 values, or floats in [0, 255], to mean 0 and standard deviation 1 per channel.

    Args:
        mean: Of each channel in [0, 1].
        std: Of each channel in [0, 1].
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = 255 * torch.tensor(mean)[:, None, None]
        self.scale = 1 / (255 * torch.tensor(std)[:, None, None])

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 images of the same shape."""
        if self.mean.device != images.device:
            self.mean, self.scale = self.mean.to(images.device), self.scale.to(images.device)
        return images.to(torch.float32, copy=True).sub_(self.mean).mul_(self.scale)
