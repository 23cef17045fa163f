"""Random changes of images that take the boxes along."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from awlab.data.objects import Target
from awlab.data.randomness import Stream, fold

_VGG_MEAN = (123, 117, 104)
"""Of red, green and blue over ImageNet: what SSD fills with when it zooms out."""


@dataclass(frozen=True)
class SceneAugment:
    """SSD's changes of colour and of what is in view, and mirroring; in that order.

    What happens to an image depends on its key alone. Its scale is left to detectors, which resize
    images themselves. Boxes are cut at the border of the image; one
    whose centre is out of view, or of which less than a pixel is left, goes.
    """

    horizontal_flip: bool = False
    """Mirror every second image, at random."""
    photometric_distort: bool = False
    """Change brightness, contrast, saturation, hue and the order of the channels."""
    zoom_out: bool = False
    """Set every second image into a canvas of up to four times its height and width."""
    iou_crop: bool = False
    """Crop such that the overlap with an object is at least a random bound."""

    def __call__(self, image: Tensor, one: Target, key: int) -> tuple[Tensor, Target]:
        """Change an image, uint8 (3, H, W), and its objects as 64 random bits say."""
        size = (image.shape[1], image.shape[2])
        boxes: Any = tv_tensors.BoundingBoxes(one["boxes"], format="XYXY", canvas_size=size)  # type: ignore[call-overload]
        sample = {**one, "boxes": boxes}
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which seeds GPUs, too, and nothing would restore those.
            torch.default_generator.manual_seed(int(fold(key, Stream.SCENE_CHANGES)))
            changed, found = self._transforms(tv_tensors.Image(image), sample)
        corners = found["boxes"].as_subclass(Tensor)
        return changed.as_subclass(Tensor), {
            "boxes": corners,
            "labels": found["labels"],
            "image_id": found["image_id"],
            "area": found["area"],
            "iscrowd": found["iscrowd"],
        }

    @cached_property
    def _transforms(self) -> v2.Transform:
        steps: list[v2.Transform] = []
        if self.photometric_distort:
            steps.append(v2.RandomPhotometricDistort())
        if self.zoom_out:
            steps.append(v2.RandomZoomOut(fill=list(_VGG_MEAN)))
        if self.iou_crop:
            steps.append(v2.RandomIoUCrop())
        if self.horizontal_flip:
            steps.append(v2.RandomHorizontalFlip())
        steps.append(v2.ClampBoundingBoxes())
        steps.append(v2.SanitizeBoundingBoxes(labels_getter=_by_object))
        return v2.Compose(steps)


def _by_object(sample: Any) -> tuple[Tensor, ...]:
    """What must go with its box."""
    _, one = sample
    return one["labels"], one["area"], one["iscrowd"]
