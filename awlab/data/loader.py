"""Read, augment and normalise the batches of a split."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from awlab.data.augmentation import Augment, Normalize
from awlab.data.errors import DataError
from awlab.data.image_files import ImageFiles
from awlab.data.image_set import Images
from awlab.data.randomness import fold
from awlab.data.sampling import Batch, EvaluationBatches, TrainingBatches

Item = TypeVar("Item")
"""What is made of a batch."""


class Reader(Dataset, ABC):
    """Reads whole batches, perhaps in a process of its own."""

    reading: Tensor | None = None
    """What each worker reads, in memory that all processes share: its process number, and of the
    images their count and positions in the split. A process that dies says nothing any more."""
    paths: np.ndarray | None = None
    """Files of the split, as bytes, where there are any."""

    @abstractmethod
    def read(self, batch: Batch) -> Any:
        """Read what belongs to a batch, on the CPU.

        Raises:
            DataError: When a file is damaged.
        """

    def name(self, index: int) -> str:
        """What to call an image of the split."""
        where = f"image {index} of its split"
        return where if self.paths is None else f"{os.fsdecode(self.paths[index])} ({where})"

    def __getitem__(self, batch: Batch) -> tuple[Batch, Any]:
        worker = get_worker_info()
        if worker is not None and self.reading is not None:
            place = torch.tensor([os.getpid(), len(batch.indices), *batch.indices])
            self.reading[worker.id, : len(place)] = place
        try:
            return batch, self.read(batch)
        except DataError as error:
            # Raised in a worker, it would arrive with the traceback as its message.
            return batch, error


class SplitLoader(Iterable[Item], Generic[Item], ABC):
    """Batches of one split, read ahead; each iteration begins anew.

    Lightning takes any iterable with a length as a data loader. This one is not a
    `torch.utils.data.DataLoader`, so that nobody replaces its sampler.

    Args:
        reader: Reads what belongs to a batch.
        batches: Which images form which batch.
        device: Where batches are going to be.
        workers: Processes that read; 0 reads in this one.
    """

    def __init__(
        self,
        reader: Reader,
        batches: TrainingBatches | EvaluationBatches,
        *,
        device: torch.device,
        workers: int,
    ) -> None:
        self.batches = batches
        self.device = device
        self._reader = reader
        self._items: Iterable[tuple[Batch, Any]] = _InTurn(reader, batches)
        if workers:
            shape = (workers, 2 + batches.most)
            reader.reading = torch.zeros(shape, dtype=torch.int64).share_memory_()
            self._items = DataLoader(
                reader,
                sampler=batches,
                batch_size=None,
                collate_fn=_as_it_is,
                num_workers=workers,
                persistent_workers=True,
                pin_memory=device.type == "cuda",
                # Each iteration draws a number, by default from the generator that dropout uses.
                generator=torch.Generator(),
            )

    @abstractmethod
    def finish(self, batch: Batch, found: Any) -> Item:
        """Make a batch of what was read, on the device."""

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Item]:
        return map(self._finish_or_raise, iter(self._items))

    def read_by(self, process: int) -> list[str]:
        """The images that a worker has read last, or was reading when it died."""
        rows = [] if self._reader.reading is None else self._reader.reading.tolist()
        last = [row[2 : 2 + row[1]] for row in rows if row[0] == process]
        return [self._reader.name(index) for indices in last for index in indices]

    def state_dict(self) -> dict[str, Any]:
        """Tell Lightning that the order resumes: there is nothing to store for that."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the empty state back."""

    def _finish_or_raise(self, item: tuple[Batch, Any]) -> Item:
        batch, found = item
        if isinstance(found, DataError):
            raise found
        return self.finish(batch, found)


class Loader(SplitLoader[tuple[Tensor, Tensor]]):
    """Batches of one split: normalised float32 images (N, C, H, W) and int64 labels (N,).

    Args:
        images: The split.
        batches: Which images form which batch.
        normalize: Ends the preparation of all images.
        augment: Changes training images; None for images that are the same each time.
        seed: Of the augmentation.
        device: Where images are augmented, and where batches are.
        workers: Processes that read images; 0 reads in this one.
    """

    def __init__(
        self,
        images: Images,
        batches: TrainingBatches | EvaluationBatches,
        *,
        normalize: Normalize,
        augment: Augment | None = None,
        seed: int = 0,
        device: torch.device,
        workers: int = 0,
    ) -> None:
        self.images = images.to(device)
        self.normalize = normalize
        self.augment = augment
        self.seed = seed
        reader = _Reader(self.images, None if augment is None else seed)
        super().__init__(reader, batches, device=device, workers=workers)

    def finish(self, batch: Batch, found: Tensor) -> tuple[Tensor, Tensor]:
        pixels = found.to(self.device, non_blocking=True)
        indices = torch.tensor(batch.indices)
        there = indices.to(self.device, non_blocking=True)
        if self.augment is not None:
            pixels = self.augment(pixels, fold(self.seed, batch.epoch, there))
        all_labels = self.images.labels
        where = there if all_labels.device == self.device else indices
        labels = all_labels.index_select(0, where)
        return self.normalize(pixels), labels.to(self.device, non_blocking=True)


class _Reader(Reader):
    def __init__(self, images: Images, seed: int | None) -> None:
        self.images = images
        self.paths = images.paths if isinstance(images, ImageFiles) else None
        self.seed = seed

    def read(self, batch: Batch) -> Tensor:
        keys = None
        if self.seed is not None and not self.images.in_memory:
            keys = fold(self.seed, batch.epoch, torch.tensor(batch.indices))
        return self.images.read(batch.indices, keys)


class _InTurn(Iterable[tuple[Batch, Any]]):
    """Reads in this process."""

    def __init__(self, reader: Reader, batches: Iterable[Batch]) -> None:
        self.reader = reader
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[Batch, Any]]:
        return map(self.reader.__getitem__, iter(self.batches))


def _as_it_is(item: Any) -> Any:
    return item
