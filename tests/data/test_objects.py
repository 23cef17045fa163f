import pytest
import torch

from awlab.data.objects import Objects, target

ONE = target([[0, 0, 4, 5], [1, 1, 2, 2], [2, 2, 9, 9]], [3, 1, 2], image_id=5, iscrowd=[0, 1, 0])
NONE = target([], [], image_id=6)
TWO = target([[7, 7, 8, 9]], [2], image_id=7, area=[1.5])


@pytest.fixture
def objects():
    return Objects.of([ONE, NONE, TWO])


def same(one, other):
    return one["image_id"] == other["image_id"] and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype
        for name in ("boxes", "labels", "area", "iscrowd")
    )


def test_plain_numbers_become_tensors_with_types():
    assert ONE["boxes"].dtype == ONE["area"].dtype == torch.float32
    assert ONE["labels"].dtype == ONE["iscrowd"].dtype == torch.int64
    assert ONE["area"].tolist() == [20, 1, 49]
    assert TWO["area"].tolist() == [1.5]
    assert TWO["iscrowd"].tolist() == [0]
    assert NONE["boxes"].shape == (0, 4)
    assert NONE["area"].shape == NONE["iscrowd"].shape == NONE["labels"].shape == (0,)


def test_each_image_has_its_objects_back(objects):
    assert len(objects) == 3
    for index, one in enumerate((ONE, NONE, TWO)):
        assert same(objects[index], one)


def test_a_subset_is_in_the_order_asked_for(objects):
    some = objects.subset(torch.tensor([2, 1, 0, 2]))
    assert len(some) == 4
    for index, one in enumerate((TWO, NONE, ONE, TWO)):
        assert same(some[index], one)
    assert len(objects.subset(torch.tensor([], dtype=torch.int64))) == 0


def test_crowds_can_be_left_out(objects):
    rest = objects.without_crowds()
    expected = target([[0, 0, 4, 5], [2, 2, 9, 9]], [3, 2], image_id=5)
    for index, one in enumerate((expected, NONE, TWO)):
        assert same(rest[index], one)


def test_crowds_can_be_objects_like_others(objects):
    assert objects.with_crowds_as_objects().iscrowd.tolist() == [0, 0, 0, 0]
    assert objects.iscrowd.tolist() == [0, 1, 0, 0]


def test_there_may_be_no_objects_at_all():
    empty = Objects.of([NONE, NONE])
    assert len(empty) == 2
    assert same(empty.without_crowds()[1], NONE)
