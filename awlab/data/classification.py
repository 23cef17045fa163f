"""Images and labels for Lightning."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from awlab.data.augmentation import Augment, Normalize
from awlab.data.batched import BatchedData
from awlab.data.image_set import Images, ImageSet
from awlab.data.loader import Loader
from awlab.data.sampling import EvaluationBatches, TrainingBatches


class ClassificationData(BatchedData):
    """Batches of normalised images and labels, on the device of the trainer.

    Which images they are, and how they are changed, is told by `BatchedData`.

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
        super().__init__(batch_size=batch_size, seed=seed, workers=workers)
        self.image_set = image_set
        self.augment = augment
        self.normalize = Normalize(image_set.mean, image_set.std)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, in the order of their labels."""
        return self.image_set.class_names

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
    def test_size(self) -> int:
        """Test images."""
        return len(self.test_labels)

    @property
    def test_labels(self) -> Tensor:
        """Class of each test image, int64."""
        return self.image_set.test.labels

    def train_dataloader(self) -> Loader:
        return self._loader(self.image_set.train, self.training_batches(), augment=self.augment)

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
        self.check_test_images(indices)
        pixels = self.image_set.test.read(indices)
        shown = pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()
        return shown, self.normalize(pixels), self.test_labels[torch.tensor(indices)]

    def _evaluation_loader(self, images: Images) -> Loader:
        return self._loader(images, self.evaluation_batches(len(images.labels)))

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
            device=self.device,
            workers=0 if images.in_memory else self.worker_count(),
        )
