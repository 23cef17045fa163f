import pytest
import torch

from awlab.train.spread import spread


@pytest.mark.parametrize(
    ("count", "labels"),
    [
        (1, [0]),
        (2, [0, 5]),
        (4, [0, 2, 5, 7]),
        (10, list(range(10))),
        (12, [0, 0, 1, 2, 3, 4, 5, 5]),
    ],
)
def test_spread_takes_classes_evenly(count, labels):
    given = torch.arange(100).flip(0) % 10
    chosen = spread(given, count)
    assert len(chosen) == len(set(chosen)) == count
    assert given[chosen].tolist()[: len(labels)] == labels
    assert spread(given, count) == chosen


def test_spread_takes_the_first_images_of_a_class():
    assert spread(torch.tensor([1, 0, 1, 0, 1]), 4) == [1, 3, 0, 2]


def test_spread_takes_what_there_is():
    assert spread(torch.tensor([0, 1, 1, 1]), 6) == [0, 1, 2, 3]


def test_spread_takes_nothing_of_nothing():
    assert spread(torch.tensor([], dtype=torch.int64), 8) == []
    assert spread(torch.tensor([0, 1]), 0) == []
