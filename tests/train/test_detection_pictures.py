import json

import pytest
import torch
from PIL import Image
from torch import nn

from awlab.data import DetectionData
from awlab.data.objects import Prediction, target
from awlab.detection_sheet import SIDE
from awlab.train.detection_pictures import LIST, SHEET, draw, evenly, write_detections

NAMES = ("cat", "dog")
A, B, C = [0.0, 0, 20, 20], [30.0, 0, 50, 20], [0.0, 30, 20, 50]
IMAGE = torch.zeros(3, 60, 60)


def found(*boxes) -> Prediction:
    return {
        "boxes": torch.tensor([box for box, _, _ in boxes]).view(-1, 4),
        "labels": torch.tensor([label for _, label, _ in boxes], dtype=torch.int64),
        "scores": torch.tensor([score for _, _, score in boxes]),
    }


def counts(truth, prediction, **options):
    (one,) = draw([IMAGE], [truth], [prediction], NAMES, **options)
    assert one.truth.size == one.found.size == (SIDE, SIDE)
    return one.objects, one.right, one.wrong


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        (found(), (2, 0, 0)),
        (found((A, 1, 0.9)), (2, 1, 0)),
        (found((A, 2, 0.9)), (2, 0, 1)),
        (found((A, 1, 0.9), (A, 1, 0.8)), (2, 1, 1)),
        (found((A, 1, 0.9), (B, 2, 0.8), (C, 1, 0.7)), (2, 2, 1)),
        (found((A, 1, 0.4)), (2, 0, 0)),
    ],
)
def test_objects_and_boxes_are_compared(prediction, expected):
    assert counts(target([A, B], [1, 2]), prediction) == expected


def test_the_threshold_decides_which_boxes_count():
    truth, prediction = target([A], [1]), found((B, 1, 0.95), (A, 1, 0.4))
    assert counts(truth, prediction, threshold=0.3) == (1, 1, 1)
    assert counts(truth, prediction, threshold=0.97) == (1, 0, 0)


def test_crowds_count_neither_way():
    truth = target([A, B], [1, 1], iscrowd=[0, 1])
    assert counts(truth, found((B, 1, 0.9), (B, 1, 0.8))) == (1, 0, 0)


def test_nothing_on_nothing():
    assert counts(target([], []), found()) == (0, 0, 0)
    assert counts(target([], []), found((A, 1, 0.9))) == (0, 0, 1)


class Oracle(nn.Module):
    """Finds what there is, in images that it knows."""

    def __init__(self, scenes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.known = {scenes.read(k).sum().item(): scenes.objects[k] for k in range(8)}
        self.batches = []

    def forward(self, images):
        assert not self.training
        self.batches.append(len(images))
        truths = [self.known[(255 * image).round().sum().item()] for image in images]
        return [
            {
                "boxes": one["boxes"] * (1 + self.weight),
                "labels": one["labels"],
                "scores": torch.linspace(0.6, 0.9, len(one["labels"])) + self.weight,
            }
            for one in truths
        ]


def test_pictures_a_sheet_and_a_list_are_written(digit_scenes, tmp_path):
    data, network = DetectionData(digit_scenes, batch_size=2), Oracle(digit_scenes.test).train()
    (tmp_path / "007-truth.png").touch()
    indices = [0, 3, 1, 5, 6]
    detections = write_detections(network, data, tmp_path, indices, title="run-0123456789")
    assert network.training
    assert network.batches == [4, 1]
    with Image.open(tmp_path / SHEET) as sheet:
        assert sheet.width > 2 * SIDE
    assert sorted(file.name for file in tmp_path.glob("0*")) == [
        f"00{k}-{what}.png" for k in range(5) for what in ("found", "truth")
    ]
    content = json.loads((tmp_path / LIST).read_text())
    assert content["threshold"] == 0.5
    rows = content["images"]
    assert [row["source"] for row in rows] == indices
    for one, row in zip(detections, rows, strict=True):
        objects = digit_scenes.test.objects[one.source]
        assert (row["truth"], row["found"]) == (one.truth.name, one.found.name)
        assert one.objects == one.right == len(objects["labels"]) == len(row["boxes"])
        assert one.wrong == row["wrong"] == 0
        labels = [box["label"] for box in row["boxes"]]
        assert sorted(labels) == sorted(str(label - 1) for label in objects["labels"].tolist())
        confidences = [box["confidence"] for box in row["boxes"]]
        assert confidences == sorted(confidences, reverse=True)


@pytest.mark.parametrize(
    ("count", "of", "expected"),
    [(4, 8, [0, 2, 4, 6]), (3, 3, [0, 1, 2]), (5, 2, [0, 1]), (0, 9, [])],
)
def test_images_are_chosen_evenly(count, of, expected):
    assert evenly(count, of) == expected
