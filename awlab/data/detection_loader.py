"""Read and augment the batches of images with boxes."""

import torch
from torch import Tensor

from awlab.data.loader import Reader, SplitLoader
from awlab.data.objects import Target
from awlab.data.randomness import fold
from awlab.data.sampling import Batch, EvaluationBatches, TrainingBatches
from awlab.data.scene_augmentation import SceneAugment
from awlab.data.scenes import SceneFiles, Scenes

Images = list[Tensor]
Targets = list[Target]


class DetectionLoader(SplitLoader[tuple[Images, Targets]]):
    """Batches of one split: float32 images (3, H, W) in [0, 1] and their targets.

    Images are augmented where they are read, as bytes: each has its own size.

    Args:
        scenes: The split.
        batches: Which images form which batch.
        augment: Changes training images; None for images that are the same each time.
        seed: Of the augmentation.
        device: Where batches are.
        workers: Processes that read images; 0 reads in this one.
    """

    def __init__(
        self,
        scenes: Scenes,
        batches: TrainingBatches | EvaluationBatches,
        *,
        augment: SceneAugment | None = None,
        seed: int = 0,
        device: torch.device,
        workers: int = 0,
    ) -> None:
        reader = _Reader(scenes, augment, seed)
        super().__init__(reader, batches, device=device, workers=workers)

    def finish(self, batch: Batch, found: list[tuple[Tensor, Target]]) -> tuple[Images, Targets]:
        del batch
        images = [as_floats(image.to(self.device, non_blocking=True)) for image, _ in found]
        return images, [_moved(one, self.device) for _, one in found]


def as_floats(image: Tensor) -> Tensor:
    """Bring bytes to [0, 1]."""
    return image.float() / 255


def _moved(one: Target, device: torch.device) -> Target:
    return {
        "boxes": one["boxes"].to(device, non_blocking=True),
        "labels": one["labels"].to(device, non_blocking=True),
        "image_id": one["image_id"],
        "area": one["area"].to(device, non_blocking=True),
        "iscrowd": one["iscrowd"].to(device, non_blocking=True),
    }


class _Reader(Reader):
    def __init__(self, scenes: Scenes, augment: SceneAugment | None, seed: int) -> None:
        self.scenes = scenes
        self.paths = scenes.paths if isinstance(scenes, SceneFiles) else None
        self.augment = augment
        self.seed = seed

    def read(self, batch: Batch) -> list[tuple[Tensor, Target]]:
        return [self._read(batch.epoch, index) for index in batch.indices]

    def _read(self, epoch: int, index: int) -> tuple[Tensor, Target]:
        image, one = self.scenes.read(index), self.scenes.objects[index]
        if self.augment is None:
            return image, one
        return self.augment(image, one, int(fold(self.seed, epoch, index)))
