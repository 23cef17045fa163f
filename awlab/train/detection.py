"""One training loop for all detectors: runs of an ablation differ in the network only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torchmetrics import Metric

from awlab.spec.training import Training
from awlab.train.module import TrainingModule
from awlab.train.tally import LossTally

Batch = tuple[Sequence[Tensor], Sequence[Mapping[str, Any]]]
"""Images (3, H, W) in [0, 1], each of its own size, and their `boxes` and `labels`."""
Detections = list[dict[str, Tensor]]
"""Of each image: `boxes` (K, 4) in pixels, `labels` (K,), `scores` (K,)."""


class DetectionModule(TrainingModule):
    """Trains a detector of torchvision's kind: it brings its losses, normalises and resizes.

    Args:
        network: Maps a list of images to detections; in training, with targets, to losses by name.
        training: The recipe.
        train_size: Training images.
        measure: Makes a metric that is updated with detections and targets, and computes
            precisions by name.
        channels_last: Whether weights are laid out channels-last.
    """

    def __init__(
        self,
        network: nn.Module,
        training: Training,
        *,
        train_size: int,
        measure: Callable[[], Metric],
        channels_last: bool = False,
    ) -> None:
        super().__init__(
            network,
            training,
            train_size=train_size,
            tallies={"train": LossTally(), "val": measure(), "test": measure()},
            channels_last=channels_last,
        )

    def forward(self, images: Sequence[Tensor]) -> Detections:
        return self.network(list(images))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, targets = batch
        losses: dict[str, Tensor] = self.network(list(images), [dict(one) for one in targets])
        self.tally("train").update(losses, len(images))
        return sum(losses.values(), start=next(iter(losses.values())).new_zeros(()))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, targets = batch
        self.tally("val").update(self(images), targets)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        images, targets = batch
        self.tally("test").update(self(images), targets)
