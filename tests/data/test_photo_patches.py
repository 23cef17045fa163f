import numpy as np
import pytest
import torch

from awlab.data import photo_patches
from awlab.data.errors import DataError
from awlab.data.photo_patches import load_photo_patches

NUMBERS = {"train_patches": 40, "validation_patches": 20, "test_patches": 30}


@pytest.fixture
def coordinates(monkeypatch):
    """Ten photographs whose pixels tell where they are: red the column, green the row."""
    rows, columns = np.mgrid[:200, :256]
    photographs = {
        str(label): np.stack([columns, rows, np.full_like(rows, label)], 2).astype(np.uint8)
        for label in range(10)
    }
    monkeypatch.setattr(photo_patches, "load_photographs", lambda **_: photographs)


def pixels(images):
    return images.read(range(len(images.labels)))


def test_ten_photographs_come_out_of_the_wheels():
    data = load_photo_patches(**NUMBERS)
    assert len(data.class_names) == 10
    assert {"astronaut", "motorcycle", "flower"} < set(data.class_names)
    for split, each in ((data.train, 4), (data.val, 2), (data.test, 3)):
        assert pixels(split).shape == (each * 10, 3, 32, 32)
        assert pixels(split).dtype == torch.uint8
        assert split.labels.bincount().tolist() == [each] * 10
    assert len(data.mean) == len(data.std) == 3
    assert all(0.2 < value < 0.6 for value in data.mean)


def test_a_crop_is_a_piece_of_its_photograph(coordinates):
    data = load_photo_patches(**NUMBERS)
    for crop, label in zip(pixels(data.train), data.train.labels.tolist(), strict=True):
        left, top = crop[0, 0, 0].item(), crop[1, 0, 0].item()
        assert crop[0].tolist() == [[left + x for x in range(32)]] * 32
        assert crop[1].tolist() == [[top + y] * 32 for y in range(32)]
        assert crop[2].unique().tolist() == [label]


def test_splits_share_no_pixel(coordinates):
    numbers = {"train_patches": 3000, "validation_patches": 600, "test_patches": 2000}
    data = load_photo_patches(**numbers)
    columns = [
        set(pixels(split)[:, 0].unique().tolist()) for split in (data.train, data.val, data.test)
    ]
    assert not columns[0] & columns[1]
    assert not columns[1] & columns[2]
    assert not columns[0] & columns[2]
    # 60 %, 15 % and 25 % of 256 columns: with so many crops every column occurs.
    assert [len(found) for found in columns] == [154, 38, 64]


def test_positions_are_distinct_and_the_seed_moves_all_but_the_test_crops(coordinates):
    first, again, other = (load_photo_patches(**NUMBERS, split_seed=seed) for seed in (0, 0, 1))
    assert torch.equal(pixels(first.train), pixels(again.train))
    assert not torch.equal(pixels(first.train), pixels(other.train))
    assert not torch.equal(pixels(first.val), pixels(other.val))
    assert torch.equal(pixels(first.test), pixels(other.test))
    assert len(pixels(first.train).flatten(1).unique(dim=0)) == 40


def test_more_crops_extend_the_same_sequence(coordinates):
    more = load_photo_patches(**{**NUMBERS, "train_patches": 80})
    few = load_photo_patches(**NUMBERS)
    assert torch.equal(pixels(more.train).view(10, 8, -1)[:, :4], pixels(few.train).view(10, 4, -1))


@pytest.mark.parametrize("patches", [0, 9, 41])
def test_classes_are_balanced(coordinates, patches):
    message = rf"train patches \(={patches}\) must be a positive multiple of 10"
    with pytest.raises(DataError, match=message):
        load_photo_patches(**{**NUMBERS, "train_patches": patches})


def test_more_crops_than_there_are_is_an_error(coordinates):
    # (38 - 31) columns times (200 - 31) rows.
    message = "the val part of 0 has 1183 different patches, 2000 are asked for"
    with pytest.raises(DataError, match=message):
        load_photo_patches(**{**NUMBERS, "validation_patches": 20_000})
