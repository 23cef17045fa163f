import pytest

from awlab.data.errors import DataError
from awlab.data.sampling import EvaluationBatches, Share, TrainingBatches, steps_per_epoch


def batches(images=103, *, start=0, seed=0, **share):
    return TrainingBatches(images, share=Share(**share), seed=seed, position=lambda: start)


def flat(loader):
    return [index for batch in loader for index in batch.indices]


def test_an_epoch_holds_each_image_at_most_once_and_leaves_out_the_incomplete_batch():
    epoch = batches(batch_size=10)
    assert len(epoch) == 10
    assert [len(batch.indices) for batch in epoch] == [10] * 10
    assert len(set(flat(epoch))) == 100


def test_epochs_and_seeds_have_their_own_order():
    orders = [flat(batches(batch_size=10, start=start)) for start in (0, 10, 20)]
    orders.append(flat(batches(batch_size=10, seed=1)))
    assert len({tuple(order) for order in orders}) == 4
    assert [batch.epoch for batch in batches(batch_size=10, start=10)] == [1] * 10


@pytest.mark.parametrize("start", [0, 1, 9, 10, 13, 20])
def test_iteration_goes_on_from_the_position_at_that_moment(start):
    full = [list(batches(batch_size=10, start=epoch * 10)) for epoch in range(3)]
    epoch, done = divmod(start, 10)
    resumed = batches(batch_size=10, start=start)
    assert list(resumed) == full[epoch][done:]
    assert len(resumed) == 10


def test_the_position_is_asked_for_at_each_iteration():
    step = 0
    loader = TrainingBatches(40, share=Share(10), seed=0, position=lambda: step)
    first = list(loader)
    step = 3
    assert list(loader) == first[3:]
    step = 4
    assert {batch.epoch for batch in loader} == {1}


@pytest.mark.parametrize(
    ("batch_size", "accumulation", "world"), [(4, 3, 1), (6, 1, 2), (3, 2, 2), (2, 2, 3)]
)
@pytest.mark.parametrize("start", [0, 5])
def test_the_images_of_a_step_are_those_of_one_device(batch_size, accumulation, world, start):
    one_device = [set(batch.indices) for batch in batches(batch_size=12, start=start)]
    ranks = [
        list(
            batches(
                batch_size=batch_size,
                accumulation=accumulation,
                rank=rank,
                world=world,
                start=start,
            )
        )
        for rank in range(world)
    ]
    assert all(len(batch.indices) == batch_size for rank in ranks for batch in rank)
    for step, expected in enumerate(one_device):
        micro_batches = slice(step * accumulation, (step + 1) * accumulation)
        seen = [flat(rank[micro_batches]) for rank in ranks]
        together = [index for share in seen for index in share]
        assert len(together) == 12
        assert set(together) == expected


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize(("images", "batch_size"), [(10, 4), (12, 4), (1, 4), (25, 3), (7, 1)])
def test_evaluation_sees_every_image_once_over_all_ranks(images, batch_size, world):
    ranks = [
        list(EvaluationBatches(images, batch_size=batch_size, rank=rank, world=world))
        for rank in range(world)
    ]
    assert sorted(index for rank in ranks for index in flat(rank)) == list(range(images))
    sizes = [len(batch.indices) for rank in ranks for batch in rank]
    assert max(sizes) <= batch_size
    assert min(sizes) >= 1
    if batch_size > 1 and images >= world:
        assert len({len(rank) for rank in ranks}) == 1


def test_one_device_evaluates_in_the_order_of_the_split():
    assert flat(EvaluationBatches(11, batch_size=4)) == list(range(11))


def test_a_split_smaller_than_a_batch_is_refused():
    assert steps_per_epoch(103, 10) == 10
    message = r"training\.batch_size \(=128\) must be at most the number of training images \(=80\)"
    with pytest.raises(DataError, match=message):
        steps_per_epoch(80, 128)
    with pytest.raises(DataError, match=message):
        batches(80, batch_size=32, accumulation=2, world=2)
