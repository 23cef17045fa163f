import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import distributed
from torch.multiprocessing.spawn import spawn

from awlab.data.objects import target
from awlab.spec.errors import InputError
from awlab.train import detection_tally
from awlab.train.detection_tally import DetectionTally
from awlab.train.voc_metric import voc_average_precision


def scenes(seed, images=30):
    """Objects, some of them crowds, some images empty, and a detector that is half right."""
    chance = np.random.default_rng(seed)
    predictions, targets = [], []
    for image in range(images):
        count = int(chance.integers(0, 6))
        corners = chance.uniform(0, 60, (count, 2))
        boxes = np.concatenate([corners, corners + chance.uniform(5, 60, (count, 2))], 1)
        labels = chance.integers(1, 4, count)
        crowd = (chance.random(count) < 0.2).astype(int)
        area = 0.7 * (boxes[:, 2:] - boxes[:, :2]).prod(1)
        targets.append(
            target(
                boxes.tolist(),
                labels.tolist(),
                image_id=7 * image + 3,
                area=area.tolist(),
                iscrowd=crowd.tolist(),
            )
        )
        guesses = np.concatenate([boxes + chance.normal(0, 3, boxes.shape), boxes[::-1]])
        predictions.append(
            {
                "boxes": torch.tensor(guesses, dtype=torch.float32),
                "labels": torch.tensor(np.concatenate([labels, labels])),
                # Few different scores: many are equal.
                "scores": torch.tensor(chance.integers(0, 9, 2 * count) / 10, dtype=torch.float32),
            }
        )
    return predictions, targets


def as_pycocotools(predictions, targets):
    """What the authors' own code says, from files in the authors' own format."""

    def rows(kind, extras):
        return [
            {
                "id": 0,
                "image_id": true["image_id"],
                "category_id": int(kind[k]["labels"][j]),
                "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
                **{name: kind[k][key][j].item() for name, key in extras.items()},
            }
            for k, true in enumerate(targets)
            for j, box in enumerate(kind[k]["boxes"].double())
        ]

    truth: Any = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": true["image_id"]} for true in targets],
        "categories": [{"id": label} for label in (1, 2, 3)],
        "annotations": [
            {**row, "id": number}
            for number, row in enumerate(rows(targets, {"area": "area", "iscrowd": "iscrowd"}), 1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes(rows(predictions, {"score": "scores"}))
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(("map", "map_50", "map_75"), 100 * evaluation.stats[:3], strict=True))


def score(predictions, targets, **options):
    tally = DetectionTally(**options)
    for k in range(0, len(targets), 4):
        tally.update(predictions[k : k + 4], targets[k : k + 4])
    return {name: value.item() for name, value in tally.compute().items()}


@pytest.mark.parametrize("backend", ["faster_coco_eval", "pycocotools"])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_pycocotools(seed, backend):
    predictions, targets = scenes(seed)
    expected = as_pycocotools(predictions, targets)
    assert 5 < expected["map"] < 95
    assert score(predictions, targets, backend=backend) == pytest.approx(expected, abs=1e-4)


def test_recalls_of_exactly_a_tenth_are_reached():
    """Thresholds rounded to float32 would ask for a little more."""
    boxes = [[20.0 * k, 0.0, 20.0 * k + 10, 10.0] for k in range(10)]
    predictions = [
        {
            "boxes": torch.tensor(boxes[:1]),
            "labels": torch.tensor([1]),
            "scores": torch.tensor([0.9]),
        }
    ]
    targets = [target(boxes, [1] * 10)]
    expected = as_pycocotools(predictions, targets)
    assert expected["map"] == pytest.approx(100 * 11 / 101)
    assert score(predictions, targets) == pytest.approx(expected, abs=1e-4)


def test_overlaps_of_exactly_a_threshold_are_enough():
    """Thresholds rounded to float32 would ask for a little more than 0.55."""
    predictions = [
        {
            "boxes": torch.tensor([[0.0, 0, 11, 10]]),
            "labels": torch.tensor([1]),
            "scores": torch.tensor([0.9]),
        }
    ]
    targets = [target([[0, 0, 20, 10]], [1])]
    expected = as_pycocotools(predictions, targets)
    assert expected["map"] == pytest.approx(20)
    assert score(predictions, targets) == pytest.approx(expected, abs=1e-4)


def test_the_order_of_images_is_nothing():
    predictions, targets = scenes(5)
    assert score(predictions[::-1], targets[::-1]) == score(predictions, targets)


def test_vocs_metrics_are_beside_the_others():
    predictions, targets = scenes(1)
    scores = score(predictions, targets, voc=True)
    assert set(scores) == {"map", "map_50", "map_75", "map_50_voc07", "map_50_voc12"}
    eleven_points, area = voc_average_precision(predictions, targets)
    assert scores["map_50_voc07"] == pytest.approx(100 * eleven_points)
    assert scores["map_50_voc12"] == pytest.approx(100 * area)


def nothing():
    return {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long(), "scores": torch.zeros(0)}


def test_finding_nothing_is_zero_and_nothing_to_find_is_undefined():
    assert score([nothing()], [target([[0, 0, 5, 5]], [1])])["map"] == 0
    scores = score([nothing(), nothing()], [target([], []), target([], [], image_id=1)])
    assert all(math.isnan(value) for value in scores.values())


def test_a_crowd_may_be_found_as_often_as_one_likes():
    crowd = target([[0, 0, 10, 10], [20, 20, 60, 60]], [1, 1], iscrowd=[0, 1])
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 60, 60]])
    predictions = {"boxes": boxes, "labels": torch.ones(3).long(), "scores": torch.rand(3)}
    assert score([predictions], [crowd])["map"] == pytest.approx(100)


def test_counting_begins_anew():
    tally = DetectionTally()
    tally.update(*scenes(0))
    tally.compute()
    tally.reset()
    tally.update(*scenes(1))
    assert tally.compute()["map"] == pytest.approx(score(*scenes(1))["map"])


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(detection_tally, "find_spec", lambda _: None)
    message = r"measured with faster_coco_eval, which is not installed: pip install 'awlab\[det\]'"
    with pytest.raises(InputError, match=message):
        DetectionTally()


def _rank(rank, folder, shares):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(shares)
    )
    predictions, targets = scenes(0)
    tally = DetectionTally()
    mine = slice(*shares[rank])
    tally.update(predictions[mine], targets[mine])
    torch.save(tally.compute(), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("shares", [[(0, 17), (17, 30)], [(30, 30), (0, 30)]])
def test_ranks_with_different_numbers_of_images_agree(tmp_path, shares):
    spawn(_rank, (str(tmp_path), shares), nprocs=2)
    expected = score(*scenes(0))
    for rank in (0, 1):
        ours = {name: value.item() for name, value in torch.load(tmp_path / f"{rank}.pt").items()}
        assert ours == expected
