"""What is in images: boxes with classes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor


class Target(TypedDict):
    """The objects of one image, as torchvision's detectors and torchmetrics want them."""

    boxes: Tensor
    """Corners x1, y1, x2, y2 in pixels of that image, float32, shape (K, 4); K may be 0."""
    labels: Tensor
    """1 ... classes, int64, shape (K,); 0 is the background."""
    image_id: int
    """Of the annotation file; elsewhere the position in the split."""
    area: Tensor
    """Of the object in square pixels, float32, shape (K,); a mask covers less than its box."""
    iscrowd: Tensor
    """1 where evaluation neither asks for the object nor counts finding it as wrong, else 0; int64,
    shape (K,). COCO's crowds and VOC's difficult objects."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of all images of a split.

    In few tensors: a million Python objects would be copied into every worker as their reference
    counts change.
    """

    boxes: Tensor
    labels: Tensor
    area: Tensor
    iscrowd: Tensor
    image_ids: Tensor
    """int64, shape (images,)."""
    first: Tensor
    """Where the objects of each image begin, and where those of the last end; (images + 1,)."""

    @classmethod
    def of(cls, targets: Sequence[Target]) -> "Objects":
        """Take the objects of each image."""
        empty = target([], [])
        counts = torch.tensor([0, *(len(one["labels"]) for one in targets)])
        return cls(
            boxes=torch.cat([empty["boxes"], *(one["boxes"] for one in targets)]),
            labels=torch.cat([empty["labels"], *(one["labels"] for one in targets)]),
            area=torch.cat([empty["area"], *(one["area"] for one in targets)]),
            iscrowd=torch.cat([empty["iscrowd"], *(one["iscrowd"] for one in targets)]),
            image_ids=torch.tensor([one["image_id"] for one in targets], dtype=torch.int64),
            first=counts.cumsum(0),
        )

    def __len__(self) -> int:
        """Images."""
        return len(self.image_ids)

    def __getitem__(self, index: int) -> Target:
        """The objects of one image; the tensors are views of ours."""
        some = slice(int(self.first[index]), int(self.first[index + 1]))
        return {
            "boxes": self.boxes[some],
            "labels": self.labels[some],
            "image_id": int(self.image_ids[index]),
            "area": self.area[some],
            "iscrowd": self.iscrowd[some],
        }

    def subset(self, indices: Tensor) -> "Objects":
        """Keep only these images, in this order."""
        counts = self.first.diff()[indices]
        first = F.pad(counts.cumsum(0), (1, 0))
        shift = (self.first[indices] - first[:-1]).repeat_interleave(counts)
        rows = torch.arange(int(first[-1])) + shift
        return replace(self._rows(rows), image_ids=self.image_ids[indices], first=first)

    def without_crowds(self) -> "Objects":
        """Leave out what evaluation ignores: nothing is to be learned from it."""
        keep = self.iscrowd == 0
        return replace(self._rows(keep), first=F.pad(keep.cumsum(0), (1, 0))[self.first])

    def with_crowds_as_objects(self) -> "Objects":
        """Take what evaluation ignores for objects like others."""
        return replace(self, iscrowd=torch.zeros_like(self.iscrowd))

    def _rows(self, rows: Tensor) -> "Objects":
        """Select objects, whatever their images."""
        return replace(
            self,
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            area=self.area[rows],
            iscrowd=self.iscrowd[rows],
        )


def target(
    boxes: Sequence[Sequence[float]],
    labels: Sequence[int],
    *,
    image_id: int = 0,
    area: Sequence[float] | None = None,
    iscrowd: Sequence[int] | None = None,
) -> Target:
    """Make a target of plain numbers; by default objects fill their boxes and are no crowds."""
    corners = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    return {
        "boxes": corners,
        "labels": torch.tensor(labels, dtype=torch.int64),
        "image_id": image_id,
        "area": sides.prod(1) if area is None else torch.tensor(area, dtype=torch.float32),
        "iscrowd": torch.tensor(iscrowd or [0] * len(labels), dtype=torch.int64),
    }


class Prediction(TypedDict):
    """What a detector finds in one image, as torchvision's detectors and torchmetrics say it."""

    boxes: Tensor
    """Corners x1, y1, x2, y2 in pixels of that image, float32, shape (K, 4)."""
    labels: Tensor
    """1 ... classes, int64, shape (K,)."""
    scores: Tensor
    """Confidence in [0, 1], shape (K,)."""
