from typing import Any

import numpy as np
import pytest
import torch

from awlab.data import digit_scenes
from awlab.data.digit_scenes import Composition

NUMBERS: dict[str, Any] = {"train_images": 20, "validation_images": 10, "test_images": 10}


def load(**options) -> Any:
    return digit_scenes.load_digit_scenes(**{**NUMBERS, **options})


def every(scenes):
    return [scenes.objects[index] for index in range(len(scenes.objects))]


@pytest.fixture(scope="module")
def scenes():
    return load()


def test_numbers_and_kinds(scenes):
    for split, count in ((scenes.train, 20), (scenes.val, 10), (scenes.test, 10)):
        assert split.pixels.shape == (count, 3, 96, 96)
        assert split.pixels.dtype == torch.uint8
        assert split.objects.image_ids.tolist() == list(range(count))
    assert scenes.class_names == tuple("0123456789")


def test_boxes_lie_in_the_image_and_apart(scenes):
    for one in every(scenes.train):
        boxes = one["boxes"]
        assert ((boxes >= 0) & (boxes <= 96)).all()
        for a in range(len(boxes)):
            for b in range(a):
                low = torch.maximum(boxes[a, :2], boxes[b, :2])
                high = torch.minimum(boxes[a, 2:], boxes[b, 2:])
                assert (high <= low).any()


def test_there_are_empty_scenes_and_full_ones():
    objects = load(train_images=200).train.objects
    counts = objects.first.diff().bincount().tolist()
    assert len(counts) == 5
    assert min(counts) > 8
    assert objects.labels.unique().tolist() == list(range(1, 11))


def test_the_ink_fills_its_box(monkeypatch):
    """On a black ground every pixel that is not black is ink."""
    ground = np.zeros((64, 400, 3), np.uint8)
    monkeypatch.setattr(digit_scenes, "load_photographs", lambda **_: {"night": ground})
    train = load(composition=Composition(most_digits=1)).train
    for pixels, one in zip(train.pixels, every(train), strict=True):
        lit = (pixels.amax(0) > 0.25 * 255).nonzero()
        if not len(one["boxes"]):
            assert not len(lit)
            continue
        ((left, top, right, bottom),) = one["boxes"].tolist()
        edges = [*lit.amin(0).tolist(), *(lit.amax(0) + 1).tolist()]
        # The faintest pixels of a tinted digit stay below what we took for ink.
        assert edges == pytest.approx([top, left, bottom, right], abs=1)


def test_splits_share_no_ground(monkeypatch):
    """The ground tells its column."""
    columns = np.broadcast_to(np.arange(250, dtype=np.uint8)[None, :, None], (100, 250, 3))
    monkeypatch.setattr(digit_scenes, "load_photographs", lambda **_: {"ramp": columns})
    data = load(composition=Composition(most_digits=1))
    grounds = []
    for split in (data.train, data.val, data.test):
        empty = split.objects.first.diff() == 0
        grounds.append(split.pixels[empty].flatten().unique().tolist())
    # 60 %, 15 % and 25 % of 250 columns.
    assert max(grounds[0]) < 150 <= min(grounds[1])
    assert max(grounds[1]) < 188 <= min(grounds[2])


def test_the_seed_moves_all_but_the_test_scenes(scenes):
    again = load()
    other = load(split_seed=1)
    assert torch.equal(scenes.train.pixels, again.train.pixels)
    assert torch.equal(scenes.test.pixels, other.test.pixels)
    assert not torch.equal(scenes.train.pixels, other.train.pixels)
    assert not torch.equal(scenes.val.pixels, other.val.pixels)


def test_more_scenes_extend_the_same_sequence(scenes):
    more = load(train_images=25).train
    assert torch.equal(more.pixels[:20], scenes.train.pixels)
    assert torch.equal(more.objects[19]["boxes"], scenes.train.objects[19]["boxes"])


def test_the_composition_is_as_asked_for():
    composition = Composition(48, classes=2, most_digits=2, digit_sizes=(30, 30))
    data = load(composition=composition)
    assert data.train.pixels.shape == (20, 3, 48, 48)
    assert data.class_names == ("0", "1")
    assert set(data.train.objects.labels.tolist()) == {1, 2}
    assert int(data.train.objects.first.diff().max()) <= 2
    height = data.train.objects.boxes[:, 3] - data.train.objects.boxes[:, 1]
    assert 20 <= height.min() <= height.max() <= 30
