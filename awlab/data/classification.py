"""Images and labels for Lightning."""

import os
from collections.abc import Sequence
from typing import Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from awlab.data.augmentation import Augment, Normalize
from awlab.data.errors import DataError
from awlab.data.image_set import Images, ImageSet
from awlab.data.loader import Loader
from awlab.data.sampling import EvaluationBatches, Share, TrainingBatches, steps_per_epoch

_MOST_WORKERS = 16


class ClassificationData(LightningDataModule):
    """Batches of normalised images and labels, on the device of the trainer.

    Order and augmentation of training images are functions of the seed, the epoch and the image
    alone: the images of an optimizer step are the same on any number of devices, with any
    accumulation and any workers, and after a resume. Where a run stands is read from
    `trainer.global_step` when an epoch begins; without a trainer it is the beginning.

    Args:
        image_set: The three splits.
        batch_size: Images per device and micro-batch.
        seed: Of order and augmentation.
        augment: Changes training images.
        workers: Processes per device and split that read images from files; `auto` is as many as
            the device has processor cores for itself. Images in memory need none.
    """

    def __init__(
        self,
        image_set: ImageSet,
        *,
        batch_size: int,
        seed: int = 0,
        augment: Augment = Augment(),  # noqa: B008 frozen
        workers: int | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        self.image_set = image_set
        self.batch_size = batch_size
        self.seed = seed
        self.augment = augment
        self.workers = workers
        self.normalize = Normalize(image_set.mean, image_set.std)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, in the order of their labels."""
        return self.image_set.class_names

    @property
    def num_classes(self) -> int:
        """Classes."""
        return len(self.class_names)

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel, in [0, 1]: what images are normalised with."""
        return self.image_set.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Of each channel, in [0, 1]: what images are normalised with."""
        return self.image_set.std

    @property
    def train_size(self) -> int:
        """Training images, those held out for validation not counted."""
        return len(self.image_set.train.labels)

    @property
    def test_labels(self) -> Tensor:
        """Class of each test image, int64."""
        return self.image_set.test.labels

    def steps_per_epoch(self, batch_size: int) -> int:
        """Optimizer steps in an epoch, for `batch_size` images per step over all devices.

        Raises:
            DataError: When the training images do not fill one batch.
        """
        return steps_per_epoch(self.train_size, batch_size)

    def train_dataloader(self) -> Loader:
        batches = TrainingBatches(
            self.train_size, share=self._share, seed=self.seed, position=self._position
        )
        return self._loader(self.image_set.train, batches, augment=self.augment)

    def val_dataloader(self) -> Loader:
        return self._evaluation_loader(self.image_set.val)

    def test_dataloader(self) -> Loader:
        return self._evaluation_loader(self.image_set.test)

    def test_images(self, indices: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Read some test images, to be shown and explained.

        Args:
            indices: Positions in the test split.

        Returns:
            Images to look at, uint8 RGB (N, H, W, 3); what the network sees of them, (N, C, H, W);
            and labels, (N,).

        Raises:
            DataError: When there is no such image.
        """
        count = len(self.test_labels)
        for index in indices:
            if not 0 <= index < count:
                raise DataError(f"test image {index} does not exist; they are 0 ... {count - 1}")
        pixels = self.image_set.test.read(indices)
        shown = pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()
        return shown, self.normalize(pixels), self.test_labels[torch.tensor(indices)]

    def _evaluation_loader(self, images: Images) -> Loader:
        share = self._share
        batches = EvaluationBatches(
            len(images.labels), batch_size=share.batch_size, rank=share.rank, world=share.world
        )
        return self._loader(images, batches)

    def _loader(
        self,
        images: Images,
        batches: TrainingBatches | EvaluationBatches,
        augment: Augment | None = None,
    ) -> Loader:
        return Loader(
            images,
            batches,
            normalize=self.normalize,
            augment=augment,
            seed=self.seed,
            device=self._device,
            workers=0 if images.in_memory else self._worker_count(),
        )

    @property
    def _share(self) -> Share:
        if self.trainer is None:
            return Share(self.batch_size)
        return Share(
            self.batch_size,
            accumulation=self.trainer.accumulate_grad_batches,
            rank=self.trainer.global_rank,
            world=self.trainer.world_size,
        )

    @property
    def _device(self) -> torch.device:
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def _position(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_step

    def _worker_count(self) -> int:
        if isinstance(self.workers, int):
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        devices = 1 if self.trainer is None else self.trainer.num_devices
        return max(1, min(_MOST_WORKERS, (cores or 1) // devices))
