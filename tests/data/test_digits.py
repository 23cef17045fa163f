import pytest
import torch
from sklearn import datasets

from awlab.data.digits import load_digits


@pytest.fixture(scope="module")
def source():
    """All images, shape (1797, 64), and their digits."""
    return datasets.load_digits(return_X_y=True)


def test_the_images_are_those_of_scikit_learn(source):
    data, (grey, digits) = load_digits(validation_fraction=0.2), source
    assert [len(split.labels) for split in (data.train, data.val, data.test)] == [1150, 287, 360]
    shown = data.test.read([0, 359])
    assert shown.shape == (2, 1, 8, 8)
    # A grey level of 16 is white.
    exact = torch.from_numpy(grey[[-360, -1]]).view(2, 1, 8, 8) * 255 / 16
    assert (shown - exact).abs().max() <= 0.5
    assert data.test.labels.tolist() == digits[-360:].tolist()
    assert data.class_names == tuple("0123456789")


def test_splits_are_disjoint_and_the_seed_moves_validation_alone(source):
    _, digits = source
    first, other = (load_digits(validation_fraction=0.1, split_seed=seed) for seed in (0, 1))
    assert torch.equal(first.test.read(range(360)), other.test.read(range(360)))
    assert first.val.labels.tolist() != other.val.labels.tolist()
    for data in (first, other):
        together = torch.cat([data.train.labels, data.val.labels])
        assert sorted(together.tolist()) == sorted(digits[:-360].tolist())


def test_the_statistics_are_those_of_the_training_images():
    data = load_digits(validation_fraction=0.2)
    scaled = data.train.read(range(len(data.train.labels))).double() / 255
    assert data.mean == pytest.approx([scaled.mean().item()])
    assert data.std == pytest.approx([scaled.std(correction=0).item()])
