"""One training loop for all classifiers: runs of an ablation differ in the network only."""

from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from awlab.data.sampling import steps_per_epoch
from awlab.spec.training import Training
from awlab.train.optimizer import build_optimizer, build_schedule, parameter_groups
from awlab.train.tally import Tally

Split = Literal["train", "val", "test"]


class ClassificationModule(pl.LightningModule):
    """Trains a network on labelled images.

    Args:
        network: Maps images (N, C, H, W) to logits (N, classes).
        training: The recipe.
        num_classes: Classes.
        train_size: Training images.
        channels_last: Whether weights and images are laid out channels-last.
    """

    def __init__(
        self,
        network: nn.Module,
        training: Training,
        *,
        num_classes: int,
        train_size: int,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)
        self.training_spec = training
        self.train_size = train_size
        smoothing = training.label_smoothing
        self.tallies = nn.ModuleDict(
            {
                "train_": Tally(num_classes, smoothing),  # nn.Module has a method named train.
                "val_": Tally(num_classes),
                "test_": Tally(num_classes),
            }
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images.contiguous(memory_format=self.memory_format))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self(images)
        self.tally("train").update(logits, labels)
        return F.cross_entropy(
            logits.float(), labels, label_smoothing=self.training_spec.label_smoothing
        )

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        self.tally("val").update(self(images), labels)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        self.tally("test").update(self(images), labels)

    def configure_optimizers(self) -> Any:
        spec = self.training_spec
        optimizer = build_optimizer(spec.optimizer, parameter_groups(self, spec.optimizer))
        # Not trainer.estimated_stepping_batches: it would begin to read data before a checkpoint
        # has said from where.
        schedule = build_schedule(
            spec.schedule,
            optimizer,
            steps_per_epoch=steps_per_epoch(self.train_size, spec.batch_size),
            epochs=spec.epochs,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def tally(self, split: Split) -> Tally:
        """The counts of a split."""
        tally = self.tallies[f"{split}_"]
        assert isinstance(tally, Tally)
        return tally

    def take_metrics(self, split: Split) -> dict[str, float]:
        """The metrics of a split over all ranks, by full name; counting begins anew.

        Every rank must ask.
        """
        tally = self.tally(split)
        metrics = {f"{split}/{name}": value.item() for name, value in tally.compute().items()}
        tally.reset()
        return metrics

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["train_tally"] = self.tally("train").totals()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        tally = self.tally("train")
        tally.reset()
        if self.global_rank == 0:  # The sums are those of all ranks.
            tally.sums += checkpoint["train_tally"].to(tally.sums)
