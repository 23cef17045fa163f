"""What is counted while a network is trained or evaluated, exact over any number of ranks."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

MOST_LOSSES = 8
"""Parts of the loss of a detector that are told apart."""


class Sums(Metric):
    """Sums that are added over ranks before they are divided.

    So ranks with fewer images weigh less, and a checkpoint can hold what was counted so far.

    Args:
        count: How many sums.
    """

    full_state_update = False
    higher_is_better = False
    sums: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        start = torch.zeros(count, dtype=torch.float64)
        self.add_state("sums", start, dist_reduce_fx="sum")

    def totals(self) -> Tensor:
        """The sums over all ranks; every rank must ask."""
        with self.sync_context():
            return self.sums.clone()


class Tally(Sums):
    """Counts images, their loss and their errors.

    Args:
        num_classes: Classes; with more than five there is a top-5 error.
        label_smoothing: Of the loss, as in `torch.nn.functional.cross_entropy`.
    """

    def __init__(self, num_classes: int, label_smoothing: float = 0.0) -> None:
        top = (1, 5) if num_classes > 5 else (1,)
        super().__init__(2 + len(top))
        self.label_smoothing = label_smoothing
        self.top = top

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (N, classes), labels (N,)."""
        logits = logits.detach().float()
        loss = F.cross_entropy(
            logits, labels, reduction="none", label_smoothing=self.label_smoothing
        )
        guesses = logits.topk(self.top[-1]).indices
        hits = guesses == labels[:, None]
        wrong = [len(labels) - hits[:, :k].sum() for k in self.top]
        images = labels.new_full((), len(labels))  # A copy from the CPU would wait for the device.
        self.sums += torch.stack([loss.double().sum(), *wrong, images]).to(self.sums)

    def compute(self) -> dict[str, Tensor]:
        """`loss`, `top1_error` and, with more than five classes, `top5_error` in percent."""
        loss, *wrong, images = self.sums
        errors = {f"top{k}_error": 100 * w / images for k, w in zip(self.top, wrong, strict=True)}
        return {"loss": loss / images, **errors}


class LossTally(Sums):
    """Counts images and the parts of the loss of a detector, as it names them."""

    def __init__(self) -> None:
        super().__init__(1 + MOST_LOSSES)
        self.names: list[str] = []

    def update(self, losses: Mapping[str, Tensor], images: int) -> None:
        """Add a batch: the mean losses of that many images."""
        if len(losses) > MOST_LOSSES:
            raise ValueError(
                f"the network has {len(losses)} losses ({', '.join(losses)}); at most "
                f"{MOST_LOSSES} are told apart"
            )
        self.names = sorted(losses)  # Known from the first batch on; alike on all ranks.
        parts = torch.stack([losses[name].detach().double() for name in self.names])
        self.sums[0] += images
        self.sums[1 : 1 + len(parts)] += images * parts.to(self.sums)

    def compute(self) -> dict[str, Tensor]:
        """`loss`, and its parts: `loss_classifier`, ..."""
        images, *sums = self.sums
        means = {name: part / images for name, part in zip(self.names, sums, strict=False)}
        parts = {f"loss_{name.removeprefix('loss_')}": mean for name, mean in means.items()}
        return {"loss": self.sums[1:].sum() / images, **parts}
