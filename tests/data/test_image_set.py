import pytest
import torch

from awlab.data.errors import DataError
from awlab.data.image_set import ImageArray, channel_statistics, hold_out


def classes(*sizes):
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


@pytest.mark.parametrize("seed", range(5))
def test_hold_out_takes_the_fraction_of_every_class(seed):
    labels = classes(500, 50, 250)[torch.randperm(800, generator=torch.Generator().manual_seed(0))]
    train, val = hold_out(labels, 0.1, seed=seed)
    assert sorted([*train.tolist(), *val.tolist()]) == list(range(800))
    assert len(val) == 80
    for held, expected in zip(labels[val].bincount().tolist(), (50, 5, 25), strict=True):
        assert abs(held - expected) <= 1


def test_hold_out_is_decided_by_its_seed():
    splits = [hold_out(classes(40, 40), 0.25, seed=seed)[1].tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]


def test_hold_out_does_not_favour_small_classes():
    labels = classes(1, 2, 5, 92)
    held = torch.zeros(4)
    for seed in range(400):
        held += labels[hold_out(labels, 0.2, seed=seed)[1]].bincount(minlength=4)
    torch.testing.assert_close(
        held / 400 / torch.tensor([1, 2, 5, 92]), torch.full((4,), 0.2), rtol=0, atol=0.06
    )


def test_hold_out_leaves_at_least_one_image_on_either_side():
    assert [len(part) for part in hold_out(classes(1, 1), 0.01, seed=0)] == [1, 1]
    assert [len(part) for part in hold_out(classes(1, 1), 0.99, seed=0)] == [1, 1]
    with pytest.raises(DataError, match="needs at least 2 training images, there are 1"):
        hold_out(classes(1), 0.5, seed=0)


def test_channel_statistics_equal_their_definition():
    pixels = torch.randint(0, 256, (7, 2, 3, 4), dtype=torch.uint8)
    mean, std = channel_statistics(pixels)
    for channel in range(2):
        values = [v / 255 for v in pixels[:, channel].flatten().tolist()]
        average = sum(values) / len(values)
        variance = sum((v - average) ** 2 for v in values) / len(values)
        assert mean[channel] == pytest.approx(average)
        assert std[channel] == pytest.approx(variance**0.5)


def test_an_array_reads_the_images_that_are_asked_for():
    pixels = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1)
    array = ImageArray(pixels, torch.arange(4)).subset(torch.tensor([3, 1, 0]))
    assert array.read([2, 0, 0]).flatten().tolist() == [0, 3, 3]
    assert array.labels.tolist() == [3, 1, 0]
    assert array.to(torch.device("cpu")).read([1]).flatten().tolist() == [1]
