"""What trains a network, whatever it is trained to do: the recipe, and the count of metrics."""

from abc import ABC
from collections.abc import Mapping
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import nn
from torchmetrics import Metric

from awlab.data.sampling import steps_per_epoch
from awlab.spec.training import Training
from awlab.train.optimizer import build_optimizer, build_schedule, parameter_groups
from awlab.train.tally import Sums

Split = Literal["train", "val", "test"]


class TrainingModule(pl.LightningModule, ABC):
    """Trains a network; subclasses know what a batch is, what is lost and what is measured.

    Args:
        network: What is trained.
        training: The recipe.
        train_size: Training images.
        tallies: Split to what is counted in it; that of the training is one of `Sums`.
        channels_last: Whether weights and images are laid out channels-last.
    """

    def __init__(
        self,
        network: nn.Module,
        training: Training,
        *,
        train_size: int,
        tallies: Mapping[Split, Metric],
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)
        self.training_spec = training
        self.train_size = train_size
        # nn.Module has a method named train.
        self.tallies = nn.ModuleDict({f"{split}_": tally for split, tally in tallies.items()})

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

    def tally(self, split: Split) -> Metric:
        """The counts of a split."""
        tally = self.tallies[f"{split}_"]
        assert isinstance(tally, Metric)
        return tally

    def take_metrics(self, split: Split) -> dict[str, float]:
        """The metrics of a split over all ranks, by full name; counting begins anew.

        Every rank must ask.
        """
        tally = self.tally(split)
        metrics = {f"{split}/{name}": float(value) for name, value in tally.compute().items()}
        tally.reset()
        return metrics

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["train_tally"] = self._train_tally.totals()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        tally = self._train_tally
        tally.reset()
        if self.global_rank == 0:  # The sums are those of all ranks.
            tally.sums += checkpoint["train_tally"].to(tally.sums)

    @property
    def _train_tally(self) -> Sums:
        tally = self.tally("train")
        assert isinstance(tally, Sums)
        return tally
