import math
from itertools import pairwise

import pytest
import torch

from awlab.data.objects import Prediction, target
from awlab.train.voc_metric import judge, voc_average_precision


def found(*boxes) -> Prediction:
    """Boxes with label and score, as a detector says it."""
    return {
        "boxes": torch.tensor([box[:4] for box in boxes], dtype=torch.float32).view(-1, 4),
        "labels": torch.tensor([box[4] for box in boxes], dtype=torch.int64),
        "scores": torch.tensor([box[5] for box in boxes], dtype=torch.float32),
    }


A, B, C = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)
NOWHERE = (70, 70, 80, 80)


def test_a_right_and_a_wrong_box():
    # Precision 1 at recall 1/2, then 1/2, then 2/3 at recall 1.
    boxes = found((*A, 1, 0.9), (*NOWHERE, 1, 0.8), (*B, 1, 0.7))
    eleven_points, area = voc_average_precision([boxes], [target([A, B], [1, 1])])
    assert eleven_points == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_second_box_on_an_object_is_wrong():
    boxes = found((*A, 1, 0.9), (0, 0, 10, 9, 1, 0.8), (*B, 1, 0.7))
    _, area = voc_average_precision([boxes], [target([A, B], [1, 1])])
    assert area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_difficult_objects_count_neither_way():
    difficult = target([A, B, C], [1, 1, 1], iscrowd=[0, 1, 1])
    twice = found((*B, 1, 0.95), (*B, 1, 0.94), (*A, 1, 0.9))
    assert voc_average_precision([twice], [difficult]) == (1, 1)


def test_an_overlap_of_one_half_is_enough():
    half, less = (0, 0, 10, 5), (0, 0, 10, 4.9)
    assert voc_average_precision([found((*half, 1, 0.9))], [target([A], [1])]) == (1, 1)
    assert voc_average_precision([found((*less, 1, 0.9))], [target([A], [1])]) == (0, 0)


def test_the_mean_is_over_the_classes_that_occur():
    boxes = found((*A, 1, 0.9), (*C, 7, 0.9))
    assert voc_average_precision([boxes], [target([A, B], [1, 2])]) == (0.5, 0.5)


def test_boxes_of_another_image_or_class_find_nothing():
    images = [target([A], [1], image_id=0), target([B], [2], image_id=1)]
    swapped = [found((*B, 2, 0.9)), found((*B, 1, 0.9))]
    assert voc_average_precision(swapped, images) == (0, 0)


def test_without_objects_there_is_no_precision():
    only_difficult = target([A], [1], iscrowd=[1])
    scores = voc_average_precision([found((*A, 1, 0.5)), found()], [only_difficult, target([], [])])
    assert all(math.isnan(score) for score in scores)


def overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)


def as_the_development_kit(label, predictions, targets):
    """VOCevaldet of the development kit, line by line."""
    objects = [
        [
            (box.tolist(), bool(crowd))
            for box, kind, crowd in zip(t["boxes"], t["labels"], t["iscrowd"], strict=True)
            if kind == label
        ]
        for t in targets
    ]
    found_already = [[False] * len(image) for image in objects]
    boxes = [
        (score.item(), k, box.tolist())
        for k, p in enumerate(predictions)
        for box, kind, score in zip(p["boxes"], p["labels"], p["scores"], strict=True)
        if kind == label
    ]
    npos = sum(not difficult for image in objects for _, difficult in image)
    tp, fp, curve = 0, 0, []
    for _, k, box in sorted(boxes, key=lambda row: -row[0]):
        overlaps = [overlap(box, true) for true, _ in objects[k]]
        best = max(range(len(overlaps)), key=lambda j: overlaps[j], default=None)
        if best is not None and overlaps[best] >= 0.5:
            if not objects[k][best][1]:
                if found_already[k][best]:
                    fp += 1
                else:
                    tp += 1
                    found_already[k][best] = True
        else:
            fp += 1
        if tp + fp:
            curve.append((tp / npos, tp / (tp + fp)))
    points = [max([p for r, p in curve if r >= t / 10], default=0) for t in range(11)]
    levels = [0, *sorted({r for r, _ in curve})]
    pairs = pairwise(levels)
    area = sum((b - a) * max(p for r, p in curve if r >= b) for a, b in pairs)
    return sum(points) / 11, area


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_the_development_kit(seed):
    chance = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.rand(shape, generator=chance)

    predictions, targets = [], []
    for image in range(12):
        count = int(5 * numbers(1))
        corners = 60 * numbers(count, 2)
        boxes = torch.cat([corners, corners + 8 + 20 * numbers(count, 2)], dim=1)
        labels = (1 + 3 * numbers(count)).long()
        crowd = (numbers(count) < 0.25).int().tolist()
        targets.append(target(boxes.tolist(), labels.tolist(), image_id=image, iscrowd=crowd))
        near = torch.cat([boxes + 3 * numbers(count, 4), boxes + 3 * numbers(count, 4)])
        scores = numbers(2 * count)
        predictions.append({"boxes": near, "labels": labels.repeat(2), "scores": scores})
    expected = [as_the_development_kit(label, predictions, targets) for label in (1, 2, 3)]
    for ours, theirs in zip(
        voc_average_precision(predictions, targets), zip(*expected, strict=True), strict=True
    ):
        assert ours == pytest.approx(sum(theirs) / 3)


def test_boxes_are_judged_one_by_one():
    objects = torch.tensor([A, B, C], dtype=torch.float32)
    boxes = torch.tensor([A, A, C, NOWHERE], dtype=torch.float32)
    verdicts = judge(boxes, objects, difficult=torch.tensor([False, False, True]))
    assert verdicts.right.tolist() == [True, False, False, False]
    assert verdicts.wrong.tolist() == [False, True, False, True]
    assert verdicts.found.tolist() == [True, False, False]
