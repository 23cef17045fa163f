"""Read and augment the batches of images with boxes."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from awlab.data.errors import DataError
from awlab.data.loader import read_ahead
from awlab.data.objects import Target
from awlab.data.randomness import fold
from awlab.data.sampling import Batch, EvaluationBatches, TrainingBatches
from awlab.data.scene_augmentation import SceneAugment
from awlab.data.scenes import Scenes

Images = list[Tensor]
Targets = list[Target]


class DetectionLoader(Iterable[tuple[Images, Targets]]):
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
        self.batches = batches
        self.device = device
        reader = _Reader(scenes, augment, seed)
        self._items = read_ahead(reader, batches, workers=workers, device=device)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Images, Targets]]:
        return map(self._finish, iter(self._items))

    def state_dict(self) -> dict[str, Any]:
        """Tell Lightning that the order resumes: there is nothing to store for that."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the empty state back."""

    def _finish(self, item: "list[tuple[Tensor, Target]] | DataError") -> tuple[Images, Targets]:
        if isinstance(item, DataError):
            raise item
        images = [as_floats(image.to(self.device, non_blocking=True)) for image, _ in item]
        return images, [_moved(one, self.device) for _, one in item]


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


class _Reader(Dataset):
    """Reads whole batches, perhaps in a process of its own."""

    def __init__(self, scenes: Scenes, augment: SceneAugment | None, seed: int) -> None:
        self.scenes = scenes
        self.augment = augment
        self.seed = seed

    def __getitem__(self, batch: Batch) -> "list[tuple[Tensor, Target]] | DataError":
        try:
            return [self._read(batch.epoch, index) for index in batch.indices]
        except DataError as error:
            # Raised in a worker, it would arrive with the traceback as its message.
            return error

    def _read(self, epoch: int, index: int) -> tuple[Tensor, Target]:
        image, one = self.scenes.read(index), self.scenes.objects[index]
        if self.augment is None:
            return image, one
        return self.augment(image, one, int(fold(self.seed, epoch, index)))
