"""The metrics of classification, exact over any number of ranks."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric


class Tally(Metric):
    """Counts images, their loss and their errors.

    Counts are added over ranks before they are divided, so that ranks with fewer images weigh
    less.

    Args:
        num_classes: Classes; with more than five there is a top-5 error.
        label_smoothing: Of the loss, as in `torch.nn.functional.cross_entropy`.
    """

    full_state_update = False
    higher_is_better = False
    sums: Tensor

    def __init__(self, num_classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.top = (1, 5) if num_classes > 5 else (1,)
        start = torch.zeros(2 + len(self.top), dtype=torch.float64)
        self.add_state("sums", start, dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (N, classes), labels (N,)."""
        logits = logits.detach().float()
        loss = F.cross_entropy(
            logits, labels, reduction="none", label_smoothing=self.label_smoothing
        )
        guesses = logits.topk(self.top[-1]).indices
        hits = guesses == labels[:, None]
        wrong = [len(labels) - hits[:, :k].sum() for k in self.top]
        self.sums += torch.stack([loss.double().sum(), *wrong, _count(labels)]).to(self.sums)

    def compute(self) -> dict[str, Tensor]:
        """`loss`, `top1_error` and, with more than five classes, `top5_error` in percent."""
        loss, *wrong, images = self.sums
        errors = {f"top{k}_error": 100 * w / images for k, w in zip(self.top, wrong, strict=True)}
        return {"loss": loss / images, **errors}

    def totals(self) -> Tensor:
        """The sums over all ranks; every rank must ask."""
        with self.sync_context():
            return self.sums.clone()


def _count(labels: Tensor) -> Tensor:
    return torch.tensor(len(labels), device=labels.device)
