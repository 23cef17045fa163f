"""Average precision as the PASCAL VOC challenges compute it (Everingham et al. 2010).

An object is found at an overlap of at least one half. Of several boxes on one object the most
confident one is right and the others are wrong. What is found of a difficult object counts neither
as right nor as wrong.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_iou

from awlab.data.objects import Prediction, Target

_OVERLAP = 0.5


def voc_average_precision(
    predictions: Sequence[Prediction], targets: Sequence[Target]
) -> tuple[float, float]:
    """Mean over the classes that occur, in [0, 1].

    Args:
        predictions: Of each image.
        targets: Of each image; `iscrowd` marks difficult objects.

    Returns:
        By the rule of VOC2007, at eleven recalls, and by that of VOC2010 and later, the area under
        the curve; nan when there is nothing to find.
    """
    wanted = [one["labels"][one["iscrowd"] == 0] for one in targets]
    classes = torch.cat(wanted).unique().tolist()
    scores = [_of_class(label, predictions, targets) for label in classes]
    if not scores:
        return float("nan"), float("nan")
    eleven_points, area = torch.tensor(scores, dtype=torch.float64).mean(0).tolist()
    return eleven_points, area


def _of_class(
    label: int, predictions: Sequence[Prediction], targets: Sequence[Target]
) -> tuple[float, float]:
    scores, right, wrong = [], [], []
    objects = 0
    for found, true in zip(predictions, targets, strict=True):
        ours, theirs = found["labels"] == label, true["labels"] == label
        if not ours.any() and not theirs.any():
            continue  # Most images have few of the classes.
        difficult = true["iscrowd"][theirs] == 1
        objects += int((~difficult).sum())
        order = found["scores"][ours].argsort(descending=True, stable=True)
        scores.append(found["scores"][ours][order])
        verdicts = judge(found["boxes"][ours][order], true["boxes"][theirs], difficult=difficult)
        right.append(verdicts.right)
        wrong.append(verdicts.wrong)
    order = torch.cat(scores).argsort(descending=True, stable=True)
    hits = torch.cat(right)[order].double().cumsum(0)
    misses = torch.cat(wrong)[order].double().cumsum(0)
    precision = hits / (hits + misses).clamp_min(1)
    recall = hits / objects
    return _at_eleven_points(recall, precision), _area(recall, precision)


class Verdicts(NamedTuple):
    """What boxes are worth; those that are neither right nor wrong found something difficult."""

    right: Tensor
    """Of each box, bool."""
    wrong: Tensor
    """Of each box, bool."""
    found: Tensor
    """Of each object, bool: whether a box is right about it."""


def judge(boxes: Tensor, objects: Tensor, *, difficult: Tensor) -> Verdicts:
    """Compare boxes (K, 4) of a class in an image, the most confident first, with its objects."""
    right = torch.zeros(len(boxes), dtype=torch.bool)
    wrong = torch.ones(len(boxes), dtype=torch.bool)
    found = torch.zeros(len(objects), dtype=torch.bool)
    if not len(objects):
        return Verdicts(right, wrong, found)
    best = box_iou(boxes, objects).max(1)
    for k, (overlap, which) in enumerate(zip(*(part.tolist() for part in best), strict=True)):
        if overlap < _OVERLAP:
            continue
        if difficult[which]:
            wrong[k] = False
        elif not found[which]:
            found[which] = right[k] = True
            wrong[k] = False
    return Verdicts(right, wrong, found)


def _at_eleven_points(recall: Tensor, precision: Tensor) -> float:
    """Mean of the highest precisions at recalls of at least 0, 0.1, ..., 1."""
    points = torch.arange(11, dtype=torch.float64) / 10
    # A recall such as 0.3 is a quotient of integers and may be just below 3 / 10.
    reached = recall[None] >= points[:, None] - 1e-12
    return float((precision * reached).amax(1).mean()) if len(recall) else 0.0


def _area(recall: Tensor, precision: Tensor) -> float:
    """Area under the precision, made to fall, over the recall."""
    falling = precision.flip(0).cummax(0).values.flip(0) if len(precision) else precision
    steps = recall.diff(prepend=recall.new_zeros(1))
    return float((steps * falling).sum())
