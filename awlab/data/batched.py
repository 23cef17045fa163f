"""What data modules share: whose turn it is, and who reads."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from lightning.pytorch import LightningDataModule

from awlab.data.errors import DataError
from awlab.data.sampling import EvaluationBatches, Share, TrainingBatches, steps_per_epoch

_MOST_WORKERS = 16


class BatchedData(LightningDataModule, ABC):
    """Divides images into batches by where the trainer stands.

    Order and augmentation of training images are functions of the seed, the epoch and the image
    alone: the images of an optimizer step are the same on any number of devices, with any
    accumulation and any workers, and after a resume. Where a run stands is read from
    `trainer.global_step` when an epoch begins; without a trainer it is the beginning.

    Args:
        batch_size: Images per device and micro-batch.
        seed: Of order and augmentation.
        workers: Processes per device and split that read images from files; `auto` is as many as
            the device has processor cores for itself. Images in memory need none.
    """

    def __init__(self, *, batch_size: int, seed: int, workers: int | Literal["auto"]) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, in the order of their labels."""

    @property
    @abstractmethod
    def train_size(self) -> int:
        """Training images, those held out for validation not counted."""

    @property
    @abstractmethod
    def test_size(self) -> int:
        """Test images."""

    def check_test_images(self, indices: Sequence[int]) -> None:
        """Raise `DataError` when there is no test image at one of these positions."""
        for index in indices:
            if not 0 <= index < self.test_size:
                raise DataError(
                    f"test image {index} does not exist; they are 0 ... {self.test_size - 1}"
                )

    @property
    def num_classes(self) -> int:
        """Classes, the background not counted."""
        return len(self.class_names)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Optimizer steps in an epoch, for `batch_size` images per step over all devices.

        Raises:
            DataError: When the training images do not fill one batch.
        """
        return steps_per_epoch(self.train_size, batch_size)

    def training_batches(self) -> TrainingBatches:
        """Which images this process takes in this epoch."""
        return TrainingBatches(
            self.train_size, share=self._share, seed=self.seed, position=self._position
        )

    def evaluation_batches(self, images: int) -> EvaluationBatches:
        """Which of the images of a split this process takes."""
        share = self._share
        return EvaluationBatches(
            images, batch_size=share.batch_size, rank=share.rank, world=share.world
        )

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def worker_count(self) -> int:
        """Processes that read images from files."""
        if isinstance(self.workers, int):
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        devices = 1 if self.trainer is None else self.trainer.num_devices
        return max(1, min(_MOST_WORKERS, (cores or 1) // devices))

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

    def _position(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_step
