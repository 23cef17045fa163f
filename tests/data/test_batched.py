from types import SimpleNamespace

import pytest
import torch

from awlab.data.batched import BatchedData
from awlab.data.errors import DataError


class Numbers(BatchedData):
    """Twenty of them."""

    @property
    def class_names(self):
        return ("even", "odd")

    @property
    def train_size(self):
        return 20

    @property
    def test_size(self) -> int:
        return 4


def numbers(place=None, **options):
    data = Numbers(**{"batch_size": 4, "seed": 0, "workers": "auto", **options})
    data.trainer = place
    return data


def place(rank=0, world=1, accumulation=1, step=0):
    """What the data ask a trainer."""
    return SimpleNamespace(
        accumulate_grad_batches=accumulation,
        global_rank=rank,
        world_size=world,
        global_step=step,
        num_devices=world,
        strategy=SimpleNamespace(root_device=torch.device("meta")),
    )


def test_without_a_trainer_it_is_the_beginning_on_one_device():
    data = numbers()
    assert (data.num_classes, data.device) == (2, torch.device("cpu"))
    batches = list(data.training_batches())
    assert [batch.epoch for batch in batches] == [0] * 5
    assert sorted(index for batch in batches for index in batch.indices) == list(range(20))


def test_the_trainer_tells_where_it_stands():
    data = numbers(place(step=7))
    assert data.device == torch.device("meta")
    batches = list(data.training_batches())
    assert [batch.epoch for batch in batches] == [1] * 3
    alone = list(numbers(place(step=5)).training_batches())
    assert batches == alone[2:]


def test_ranks_divide_a_step_among_them():
    whole = next(iter(numbers(place(step=2), batch_size=4).training_batches()))
    parts = [
        next(iter(numbers(place(rank, 2, step=2), batch_size=2).training_batches()))
        for rank in (0, 1)
    ]
    assert sorted(parts[0].indices + parts[1].indices) == sorted(whole.indices)


def test_ranks_divide_what_is_evaluated():
    shares = [numbers(place(rank, 2)).evaluation_batches(9) for rank in (0, 1)]
    assert [len(share) for share in shares] == [2, 2]
    assert sorted(i for share in shares for b in share for i in b.indices) == list(range(9))


def test_a_batch_larger_than_the_training_split_is_refused():
    assert numbers().steps_per_epoch(8) == 2
    with pytest.raises(DataError, match=r"training\.batch_size \(=21\) must be at most"):
        numbers().steps_per_epoch(21)


@pytest.mark.parametrize(
    ("workers", "cores", "devices", "expected"),
    [(3, 64, 1, 3), ("auto", 2, 1, 2), ("auto", 64, 8, 8), ("auto", 64, 1, 16), ("auto", 2, 4, 1)],
)
def test_files_get_the_cores_of_their_device(monkeypatch, workers, cores, devices, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores), raising=False)
    assert numbers(place(0, devices), workers=workers).worker_count() == expected


@pytest.mark.parametrize("index", [-1, 4])
def test_a_test_image_that_does_not_exist(index):
    data = numbers()
    data.check_test_images(range(4))
    with pytest.raises(
        DataError, match=rf"^test image {index} does not exist; they are 0 \.\.\. 3$"
    ):
        data.check_test_images([0, index])
