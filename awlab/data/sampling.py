"""Which images form which batch: a function of the position in training and of nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from awlab.data.errors import DataError
from awlab.data.randomness import Stream, fold, permutation


class Batch(NamedTuple):
    """The images of one batch, before they are read."""

    epoch: int
    """Passes over the training images before this one."""
    indices: list[int]
    """Positions in the split."""


@dataclass(frozen=True)
class Share:
    """The part of each optimizer step's images that this process takes."""

    batch_size: int
    """Images per device and micro-batch."""
    accumulation: int = 1
    """Micro-batches per optimizer step."""
    rank: int = 0
    """Of this process."""
    world: int = 1
    """Processes that train together."""

    @property
    def global_batch_size(self) -> int:
        """Images per optimizer step, over all devices and micro-batches."""
        return self.batch_size * self.accumulation * self.world


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Optimizer steps in a pass over `images`, the last incomplete batch left out.

    Args:
        images: Training images.
        batch_size: Images per optimizer step, over all devices.

    Raises:
        DataError: When the images do not fill one batch.
    """
    if images < batch_size:
        raise DataError(
            f"training.batch_size (={batch_size}) must be at most the number of training images "
            f"(={images})"
        )
    return images // batch_size


class TrainingBatches:
    """The batches of one epoch, from the present position to the end of the epoch.

    The images of optimizer step k are the k-th slice of the epoch's permutation, whatever the
    devices; rank r of w takes every w-th of them from the r-th on. Iterating asks for the position
    at that moment, so that a resumed run goes on exactly where it was left.

    Args:
        images: Training images.
        share: What this process takes of each step.
        seed: Decides the order, with the epoch.
        position: Tells the optimizer steps done so far.
    """

    def __init__(
        self, images: int, *, share: Share, seed: int, position: Callable[[], int]
    ) -> None:
        self.images = images
        self.share = share
        self.seed = seed
        self.position = position
        self.steps = steps_per_epoch(images, share.global_batch_size)

    @property
    def most(self) -> int:
        """Images of the largest batch."""
        return self.share.batch_size

    def __len__(self) -> int:
        """Micro-batches in a full epoch, also when iteration starts within one."""
        return self.steps * self.share.accumulation

    def __iter__(self) -> Iterator[Batch]:
        epoch, done = divmod(self.position(), self.steps)
        order = permutation(self.images, fold(self.seed, Stream.ORDER, epoch))
        return self._slices(order, epoch, done)

    def _slices(self, order: Tensor, epoch: int, done: int) -> Iterator[Batch]:
        size = self.share.global_batch_size
        for step in range(done, self.steps):
            mine = order[step * size : (step + 1) * size][self.share.rank :: self.share.world]
            for micro_batch in mine.split(self.share.batch_size):
                yield Batch(epoch, micro_batch.tolist())


class EvaluationBatches:
    """Every image of a split exactly once over all ranks, in order.

    The batches of a rank differ by at most one image in size, and all ranks have the same number
    of them as far as there are images, so that no rank waits for another in a collective operation.
    """

    def __init__(self, images: int, *, batch_size: int, rank: int = 0, world: int = 1) -> None:
        mine = torch.arange(images)[rank::world]
        batches = -(-images // (batch_size * world))
        self.batches = [Batch(0, part.tolist()) for part in mine.tensor_split(batches) if len(part)]

    @property
    def most(self) -> int:
        """Images of the largest batch."""
        return max((len(batch.indices) for batch in self.batches), default=0)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)
