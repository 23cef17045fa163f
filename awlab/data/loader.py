"""Read, augment and normalise the batches of a split."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from awlab.data.augmentation import Augment, Normalize
from awlab.data.errors import DataError
from awlab.data.image_set import Images
from awlab.data.randomness import fold
from awlab.data.sampling import Batch, EvaluationBatches, TrainingBatches


def read_ahead(
    reader: Dataset,
    batches: TrainingBatches | EvaluationBatches,
    *,
    workers: int,
    device: torch.device,
) -> Iterable[Any]:
    """What the reader makes of each batch, in order; each iteration begins anew.

    Args:
        reader: Its item at a `Batch` is handed out.
        batches: What is read.
        workers: Processes that read; 0 reads in this one.
        device: Where it is going to be.
    """
    if not workers:
        return _InTurn(reader, batches)
    return DataLoader(
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


class Loader(Iterable[tuple[Tensor, Tensor]]):
    """Batches of one split: normalised float32 images (N, C, H, W) and int64 labels (N,).

    Lightning takes any iterable with a length as a data loader. This one is not a
    `torch.utils.data.DataLoader`, so that nobody replaces its sampler.

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
        self.batches = batches
        self.normalize = normalize
        self.augment = augment
        self.seed = seed
        self.device = device
        reader = _Reader(self.images, None if augment is None else seed)
        self._items = read_ahead(reader, batches, workers=workers, device=device)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(self._finish, iter(self._items))

    def state_dict(self) -> dict[str, Any]:
        """Tell Lightning that the order resumes: there is nothing to store for that."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the empty state back."""

    def _finish(self, item: "tuple[Batch, Tensor | DataError]") -> tuple[Tensor, Tensor]:
        batch, pixels = item
        if isinstance(pixels, DataError):
            raise pixels
        pixels = pixels.to(self.device, non_blocking=True)
        indices = torch.tensor(batch.indices)
        if self.augment is not None:
            there = indices.to(self.device, non_blocking=True)
            pixels = self.augment(pixels, fold(self.seed, batch.epoch, there))
        all_labels = self.images.labels
        labels = all_labels.index_select(0, indices.to(all_labels.device, non_blocking=True))
        return self.normalize(pixels), labels.to(self.device, non_blocking=True)


class _Reader(Dataset):
    """Reads whole batches, perhaps in a process of its own."""

    def __init__(self, images: Images, seed: int | None) -> None:
        self.images = images
        self.seed = seed

    def __getitem__(self, batch: Batch) -> tuple[Batch, Tensor | DataError]:
        keys = None
        if self.seed is not None and not self.images.in_memory:
            keys = fold(self.seed, batch.epoch, torch.tensor(batch.indices))
        try:
            return batch, self.images.read(batch.indices, keys)
        except DataError as error:
            # Raised in a worker, it would arrive with the traceback as its message.
            return batch, error


class _InTurn(Iterable[Any]):
    """Reads in this process."""

    def __init__(self, reader: Dataset, batches: Iterable[Batch]) -> None:
        self.reader = reader
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return map(self.reader.__getitem__, iter(self.batches))


def _as_it_is(item: Any) -> Any:
    return item
