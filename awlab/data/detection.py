"""Images and boxes for Lightning."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from awlab.data.batched import BatchedData
from awlab.data.detection_loader import DetectionLoader, as_floats
from awlab.data.objects import Target
from awlab.data.sampling import EvaluationBatches, TrainingBatches
from awlab.data.scene_augmentation import SceneAugment
from awlab.data.scenes import Scenes, SceneSet


class DetectionData(BatchedData):
    """Batches of images with boxes, on the device of the trainer.

    A batch is `(images, targets)`: a list of float32 images (3, H, W) in [0, 1], each of its own
    size and not normalised, because torchvision's detectors do that; and as many `Target`s. Which
    images they are, and how they are changed, is told by `BatchedData`.

    Args:
        scene_set: The three splits.
        batch_size: Images per device and micro-batch.
        seed: Of order and augmentation.
        augment: Changes training images.
        workers: Processes per device and split that read images from files; `auto` is as many as
            the device has processor cores for itself. Images in memory need none.
    """

    def __init__(
        self,
        scene_set: SceneSet,
        *,
        batch_size: int,
        seed: int = 0,
        augment: SceneAugment = SceneAugment(),  # noqa: B008 frozen
        workers: int | Literal["auto"] = "auto",
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed, workers=workers)
        self.scene_set = scene_set
        self.augment = augment

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of labels 1, 2, ...; the background, 0, has no name."""
        return self.scene_set.class_names

    @property
    def train_size(self) -> int:
        """Training images, those held out for validation not counted."""
        return len(self.scene_set.train.objects)

    @property
    def test_size(self) -> int:
        """Test images."""
        return len(self.scene_set.test.objects)

    def train_dataloader(self) -> DetectionLoader:
        return self._loader(self.scene_set.train, self.training_batches(), self.augment)

    def val_dataloader(self) -> DetectionLoader:
        return self._evaluation_loader(self.scene_set.val)

    def test_dataloader(self) -> DetectionLoader:
        return self._evaluation_loader(self.scene_set.test)

    def test_images(self, indices: Sequence[int]) -> tuple[list[Tensor], list[Target]]:
        """Read some test images, to be shown with what is found in them.

        Args:
            indices: Positions in the test split.

        Returns:
            Images and targets as in a batch, on the CPU.

        Raises:
            DataError: When there is no such image.
        """
        self.check_test_images(indices)
        scenes = self.scene_set.test
        images = [as_floats(scenes.read(index)) for index in indices]
        return images, [scenes.objects[index] for index in indices]

    def _evaluation_loader(self, scenes: Scenes) -> DetectionLoader:
        return self._loader(scenes, self.evaluation_batches(len(scenes.objects)))

    def _loader(
        self,
        scenes: Scenes,
        batches: TrainingBatches | EvaluationBatches,
        augment: SceneAugment | None = None,
    ) -> DetectionLoader:
        return DetectionLoader(
            scenes,
            batches,
            augment=augment,
            seed=self.seed,
            device=self.device,
            workers=0 if scenes.in_memory else self.worker_count(),
        )
