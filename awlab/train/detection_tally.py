"""The metrics of detection, the same over any number of ranks."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.detection import MeanAveragePrecision
from torchmetrics.utilities import dim_zero_cat

from awlab.data.objects import Prediction, Target
from awlab.spec.errors import InputError
from awlab.train.voc_metric import voc_average_precision

Backend = Literal["faster_coco_eval", "pycocotools"]


class DetectionTally(Metric):
    """Collects what was found and what was there, and compares them at the end.

    Torchmetrics' own metric holds a list of tensors for each image: two ranks that saw a different
    number of images would wait for each other for ever. Here a rank holds one long tensor of each
    kind; and images are put in order before they are compared, so that equal scores are ranked
    alike on any number of ranks.

    Args:
        voc: Whether the metrics of PASCAL VOC are computed too.
        backend: Which implementation of COCO's evaluation is used; they agree, and the first is
            faster.

    Raises:
        InputError: When it is not installed.
    """

    full_state_update = False
    higher_is_better = True
    images: list[Tensor]
    found: list[Tensor]
    true: list[Tensor]

    def __init__(self, *, voc: bool = False, backend: Backend = "faster_coco_eval") -> None:
        super().__init__()
        if find_spec(backend) is None:
            raise InputError(
                f"detectors are measured with {backend}, which is not installed: "
                "pip install 'awlab[det]'"
            )
        self.voc = voc
        self.backend: Backend = backend
        # One long row of double numbers each: they hold images, labels and boxes alike exactly, and
        # ranks can put them together even where one of them has seen nothing.
        self.set_dtype(torch.float64)
        self.add_state("images", [], dist_reduce_fx="cat")
        self.add_state("found", [], dist_reduce_fx="cat")
        self.add_state("true", [], dist_reduce_fx="cat")

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """Add the images of a batch."""
        for found, true in zip(predictions, targets, strict=True):
            image = true["image_id"]
            self.images.append(torch.tensor([image], dtype=torch.float64, device=self.device))
            self.found.append(_row(image, found["boxes"], found["labels"], found["scores"]))
            self.true.append(
                _row(image, true["boxes"], true["labels"], true["area"], true["iscrowd"])
            )

    def compute(self) -> dict[str, Tensor]:
        """Percent: `map` (COCO's AP), `map_50`, `map_75`.

        With VOC's metrics also `map_50_voc07`, at eleven recalls, and `map_50_voc12`, the area.
        What is undefined, because there was nothing to find, is nan.
        """
        predictions, targets = self._by_image()
        scores = self._coco(predictions, targets)
        if self.voc:
            eleven_points, area = voc_average_precision(predictions, targets)
            scores |= {"map_50_voc07": eleven_points, "map_50_voc12": area}
        return {name: torch.tensor(100 * score) for name, score in scores.items()}

    def _coco(
        self, predictions: Sequence[Prediction], targets: Sequence[Target]
    ) -> dict[str, float]:
        metric = MeanAveragePrecision(
            backend=self.backend,
            # Torchmetrics' own are rounded to float32: a recall of 1 / 10 would not reach 0.1.
            iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
            rec_thresholds=np.linspace(0, 1, 101).tolist(),
            sync_on_compute=False,  # It is told everything.
        )
        metric.warn_on_many_detections = False
        metric.update(
            [_tensors(one, ("boxes", "labels", "scores")) for one in predictions],
            [_tensors(one, ("boxes", "labels", "area", "iscrowd")) for one in targets],
        )
        scores = metric.compute()
        names = ("map", "map_50", "map_75")
        return {name: _or_nan(scores[name].item()) for name in names}

    def _by_image(self) -> tuple[list[Prediction], list[Target]]:
        """Everything, in the order of the numbers of the images."""
        images = dim_zero_cat(self.images).sort().values.tolist()
        found = _of_images(dim_zero_cat(self.found).view(-1, 7).cpu(), images)
        true = _of_images(dim_zero_cat(self.true).view(-1, 8).cpu(), images)
        predictions: list[Prediction] = [
            {"boxes": one[:, :4].float(), "labels": one[:, 4].long(), "scores": one[:, 5].float()}
            for one in found
        ]
        targets: list[Target] = [
            {
                "boxes": one[:, :4].float(),
                "labels": one[:, 4].long(),
                "area": one[:, 5].float(),
                "iscrowd": one[:, 6].long(),
                "image_id": int(image),
            }
            for image, one in zip(images, true, strict=True)
        ]
        return predictions, targets


def _row(image: int, boxes: Tensor, *numbers: Tensor) -> Tensor:
    """Box, other numbers and image of each object, one after the other."""
    images = boxes.new_full((len(boxes),), image, dtype=torch.float64)
    parts = [*boxes.detach().double().T, *(one.detach().double() for one in numbers), images]
    return torch.stack(parts, dim=1).flatten()


def _of_images(rows: Tensor, images: Sequence[float]) -> list[Tensor]:
    """The rows of each image; the last column tells which it is."""
    order = rows[:, -1].argsort(stable=True)
    bounds = torch.tensor(images, dtype=torch.float64)
    ends = torch.searchsorted(rows[order, -1].contiguous(), bounds, right=True)
    return list(rows[order].tensor_split(ends))[: len(images)]


def _tensors(one: Mapping[str, Any], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: one[name] for name in names}


def _or_nan(score: float) -> float:
    """COCO says -1 where there was nothing to find."""
    return score if score >= 0 else float("nan")
