import pytest
import torch

from awlab.data.randomness import Stream, below, fold, permutation, uniform

MASK = 2**64 - 1


def splitmix64(state: int) -> int:
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_one_part_is_splitmix64_as_published():
    # First output of the reference implementation in C for the seed 1234567.
    assert int(fold(1234567)) & MASK == 6457827717110365317


def test_parts_are_folded_one_after_the_other():
    expected = splitmix64((splitmix64(3) + 2**62) & MASK)
    assert int(fold(3, 2**62)) & MASK == expected
    indices = torch.tensor([0, 7, 2**40])
    several = [splitmix64((expected + i) & MASK) for i in indices.tolist()]
    assert [k & MASK for k in fold(3, 2**62, indices).tolist()] == several


def test_uniform_is_the_upper_53_bits():
    keys = fold(5, torch.arange(4000))
    numbers = uniform(keys, Stream.ROTATION)
    exact = [(splitmix64((k + Stream.ROTATION) & MASK) >> 11) / 2**53 for k in keys.tolist()]
    assert numbers.dtype == torch.float64
    assert numbers.tolist() == exact
    assert abs(numbers.mean() - 0.5) < 0.02
    assert numbers.min() >= 0
    assert numbers.max() < 1


@pytest.mark.parametrize("bound", [1, 2, 9, 1000])
def test_below_stays_below_and_reaches_everything(bound):
    numbers = below(fold(1, torch.arange(20_000)), Stream.WINDOW, bound)
    assert set(numbers.tolist()) == set(range(bound))
    counts = numbers.bincount().double()
    # Chi-squared: mean bound - 1, variance 2 (bound - 1); six deviations is never by chance.
    surprise = ((counts - 20_000 / bound) ** 2 / (20_000 / bound)).sum()
    assert surprise <= bound - 1 + 6 * (2 * bound) ** 0.5


def test_streams_of_one_key_are_uncorrelated():
    keys = fold(0, 0, torch.arange(20_000))
    drawn = torch.stack([uniform(keys, stream) for stream in Stream])
    correlation = torch.corrcoef(drawn) - torch.eye(len(Stream))
    assert correlation.abs().max() < 6 / 20_000**0.5


def test_a_permutation_is_one_and_its_key_decides_it():
    first, again, other = (permutation(1000, fold(0, epoch)) for epoch in (0, 0, 1))
    assert sorted(first.tolist()) == list(range(1000))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert permutation(0, fold(0)).tolist() == []


def test_the_numbers_never_change():
    """Runs recorded by an older version must keep their order and their split."""
    assert permutation(8, fold(0, Stream.ORDER, 0)).tolist() == [7, 4, 6, 0, 1, 3, 2, 5]
