"""One training loop for all classifiers: runs of an ablation differ in the network only."""

from torch import Tensor, nn
from torch.nn import functional as F

from awlab.spec.training import Training
from awlab.train.compiler import check_compiler, compile_in_place
from awlab.train.module import TrainingModule
from awlab.train.tally import Tally


class ClassificationModule(TrainingModule):
    """Trains a network on labelled images.

    Args:
        network: Maps images (N, C, H, W) to logits (N, classes).
        training: The recipe.
        num_classes: Classes.
        train_size: Training images.
        channels_last: Whether weights and images are laid out channels-last.
        compiled: Whether the network is called through torch.compile.
    """

    def __init__(
        self,
        network: nn.Module,
        training: Training,
        *,
        num_classes: int,
        train_size: int,
        channels_last: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__(
            network,
            training,
            train_size=train_size,
            tallies={
                "train": Tally(num_classes, training.label_smoothing),
                "val": Tally(num_classes),
                "test": Tally(num_classes),
            },
            channels_last=channels_last,
        )
        self.compiled = compiled
        if compiled:
            compile_in_place(self.network)

    def setup(self, stage: str) -> None:
        if self.compiled:
            check_compiler(self.trainer.strategy.root_device)

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
