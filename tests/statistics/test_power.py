from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from awlab.statistics.power import (
    MOST_SEEDS,
    comparisons_that_can_survive,
    seeds_needed,
    smallest_difference,
    smallest_difference_of_t_test,
    smallest_p,
)
from awlab.statistics.significance import holm, sign_flip_p

SEEDS = [3, 4, 5, 6, 7, 8, 9, 10]


def test_smallest_p_values() -> None:
    expected = [0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625, 0.001953125]
    assert [smallest_p(n) for n in SEEDS] == expected


@pytest.mark.parametrize("seeds", [1, *SEEDS])
def test_smallest_p_is_that_of_equal_signs(seeds: int) -> None:
    assert sign_flip_p([0.1 * (1 + seed) for seed in range(seeds)]) == smallest_p(seeds)


def test_comparisons_that_can_survive() -> None:
    assert [comparisons_that_can_survive(n) for n in SEEDS] == [0, 0, 0, 1, 3, 6, 12, 25]


@pytest.mark.parametrize("seeds", SEEDS)
def test_one_comparison_more_than_can_survive_does_not(seeds: int) -> None:
    family = comparisons_that_can_survive(seeds, alpha=0.3)
    assert family == 0 or min(holm([smallest_p(seeds)] + [1.0] * (family - 1))) <= 0.3
    assert min(holm([smallest_p(seeds)] + [1.0] * family)) > 0.3


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (2, 7), (3, 7), (4, 8), (6, 8), (7, 9)])
def test_seeds_needed_for_a_verdict(comparisons: int, seeds: int) -> None:
    assert seeds_needed(comparisons) == seeds


def test_seeds_needed_to_see_a_difference() -> None:
    found = seeds_needed(4, difference=0.3, sd=0.3)
    assert found == 15
    seen = [smallest_difference(0.3, n, 4) for n in (found - 1, found)]
    assert seen[0] is not None
    assert seen[1] is not None
    assert seen[0] > 0.3 >= seen[1]
    assert seeds_needed(1, difference=1e-9, sd=1.0) is None
    assert smallest_difference(1.0, MOST_SEEDS) == pytest.approx(0.0887, abs=1e-4)


@pytest.mark.parametrize(
    ("sd", "expected"),
    [
        (0.2, [0.65, 0.34, 0.29, 0.23, 0.20]),
        (0.3, [0.98, 0.50, 0.43, 0.35, 0.30]),
        (0.4, [1.31, 0.67, 0.57, 0.46, 0.40]),
    ],
)
def test_differences_that_the_t_test_sees(sd: float, expected: list[float]) -> None:
    found = [smallest_difference_of_t_test(sd, n) for n in (3, 5, 6, 8, 10)]
    assert found == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_t_test_has_that_power(seeds: int, alpha: float) -> None:
    difference = smallest_difference_of_t_test(2.0, seeds, alpha=alpha, power=0.7)
    critical = stats.t.ppf(1 - alpha / 2, seeds - 1)
    shift = difference * np.sqrt(seeds) / 2.0
    assert stats.nct.sf(critical, seeds - 1, shift) == pytest.approx(0.7, abs=1e-4)


@pytest.mark.parametrize(("seeds", "comparisons"), [(5, 1), (6, 2), (8, 7)])
def test_nothing_is_seen_with_too_few_seeds(seeds: int, comparisons: int) -> None:
    assert smallest_difference(0.3, seeds, comparisons) is None


@pytest.mark.parametrize(("seeds", "comparisons"), [(6, 1), (8, 4), (8, 1), (9, 6), (10, 10)])
def test_sign_flip_test_has_about_80_percent_power(seeds: int, comparisons: int) -> None:
    difference = smallest_difference(2.0, seeds, comparisons)
    assert difference is not None
    draws = np.random.default_rng(0).normal(difference, 2.0, size=(2000, seeds))
    p_values = np.array([sign_flip_p(draw.tolist()) for draw in draws])
    assert 0.70 < np.mean(p_values * comparisons <= 0.05) < 0.83


@pytest.mark.parametrize("comparisons", [1, 4, 12])
def test_more_seeds_see_more(comparisons: int) -> None:
    seen = [smallest_difference(1.0, n, comparisons) for n in range(10, 40)]
    assert all(a is not None and b is not None and a > b for a, b in pairwise(seen))
    assert smallest_difference(0.0, 10, comparisons) == 0
