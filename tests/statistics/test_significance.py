from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from awlab.statistics.significance import (
    EXACT_UP_TO,
    SAMPLED_PATTERNS,
    describe,
    holm,
    pair,
    prediction_interval,
    sign_flip_p,
    t_p,
)

bounded = settings(max_examples=60, deadline=None, derandomize=True)
hundredths = st.integers(-500, 500).map(lambda value: value / 100)
p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@bounded
@given(st.lists(hundredths, min_size=2, max_size=12, unique=True), st.floats(0.5, 0.999))
def test_interval_is_students(values: list[float], confidence: float) -> None:
    sample = describe(values, confidence=confidence)
    expected = stats.t.interval(
        confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    assert sample.n == len(values)
    assert sample.mean == pytest.approx(sum(values) / len(values))
    assert sample.sd == pytest.approx(stats.tstd(values))
    assert sample.interval == pytest.approx(expected)


def test_samples_too_small_for_an_interval() -> None:
    none, one = describe([]), describe([3.0])
    assert (none.n, none.mean, none.sd, none.interval) == (0, None, None, None)
    assert (one.n, one.mean, one.sd, one.interval) == (1, 3.0, None, None)


def test_a_prediction_interval_needs_two_numbers() -> None:
    assert prediction_interval(describe([])) is None
    assert prediction_interval(describe([3.0])) is None
    # 97.5 % of Student's t with 2 degrees of freedom is 4.3027
    half = 4.3027 * 1.0 * (1 + 1 / 3) ** 0.5
    assert prediction_interval(describe([1.0, 2.0, 3.0])) == pytest.approx(
        (2 - half, 2 + half), abs=1e-3
    )


@bounded
@given(st.lists(hundredths, min_size=1, max_size=7))
def test_sign_flip_counts_the_patterns_that_reach_the_observed_sum(values: list[float]) -> None:
    cents = [round(100 * value) for value in values]
    patterns = list(product([1, -1], repeat=len(cents)))
    sums = [abs(sum(s * c for s, c in zip(signs, cents, strict=True))) for signs in patterns]
    expected = sum(each >= abs(sum(cents)) for each in sums) / len(patterns)
    assert sign_flip_p(values) == expected


@pytest.mark.parametrize("n", [3, 5, 8, 11])
def test_sign_flip_is_scipys_exact_permutation_test(n: int) -> None:
    values = np.random.default_rng(n).normal(0.5, 1.0, size=n)
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=2**n
    )
    assert sign_flip_p(values.tolist()) == pytest.approx(expected.pvalue)


def test_sign_flip_counts_ties_in_spite_of_rounding() -> None:
    assert sum([0.1, 0.2, 0.3]) - 0.6 != 0  # the reason for the test
    assert sign_flip_p([0.1, 0.2, 0.3, -0.6]) == 1
    assert sign_flip_p([28.01 - 27.91, 28.01 - 27.81, -0.3, 0.3]) == sign_flip_p([1, 2, -3, 3])


def test_sign_flip_of_many_seeds_is_near_the_exact_one() -> None:
    cents = np.random.default_rng(3).integers(-60, 100, size=EXACT_UP_TO + 5)
    distribution = np.ones(1)  # of the sum, as a polynomial: its coefficients are probabilities
    for value in np.abs(cents):
        step = np.zeros(2 * value + 1)
        step[[0, -1]] = 0.5
        distribution = np.convolve(distribution, step)
    sums = np.arange(len(distribution)) - np.abs(cents).sum()
    exact = distribution[np.abs(sums) >= abs(cents.sum())].sum()
    sampled = sign_flip_p((cents / 100).tolist())
    error = np.sqrt(exact * (1 - exact) / SAMPLED_PATTERNS)
    assert 0.005 < exact < 0.5
    assert sampled != exact
    assert sampled == pytest.approx(exact, abs=4 * error)
    assert sampled == sign_flip_p((cents / 100).tolist())


def test_sampled_p_is_never_zero() -> None:
    assert sign_flip_p([1.0] * (EXACT_UP_TO + 20)) == 1 / (SAMPLED_PATTERNS + 1)


@bounded
@given(st.lists(hundredths, min_size=2, max_size=12, unique=True))
def test_t_p_is_scipys(values: list[float]) -> None:
    assert t_p(values) == pytest.approx(stats.ttest_1samp(values, 0)[1])


def test_t_p_without_spread() -> None:
    assert t_p([1.0]) is None
    assert t_p([0.0, 0.0]) == 1
    assert t_p([0.5, 0.5]) == 0


def test_pair_subtracts_seed_by_seed() -> None:
    found = pair({4: 10.0, 2: 12.0, 3: 11.0}, {2: 10.0, 3: 10.0, 4: 10.0})
    related = stats.ttest_rel([10.0, 12.0, 11.0], [10.0, 10.0, 10.0])
    assert found.by_seed == {4: 0.0, 2: 2.0, 3: 1.0}
    assert found.sample.mean == 1
    assert found.sample.interval == pytest.approx(related.confidence_interval(0.95))
    assert found.t_p == pytest.approx(related.pvalue)
    assert found.sign_flip_p == 0.5  # +-3, and +-3 again: zero has two signs


def test_holm_by_hand() -> None:
    # sorted: 4 x .005, 3 x .01, 2 x .03, then 1 x .04, which may not fall below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@bounded
@given(p_lists, st.floats(0.001, 0.999))
def test_holm_rejects_as_the_step_down_procedure(p_values: list[float], alpha: float) -> None:
    rejected = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] * (len(p_values) - step) > alpha:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_95_percent_intervals_of_five_seeds_cover_95_percent() -> None:
    draws = np.random.default_rng(0).normal(28.0, 0.3, size=(4000, 5))
    intervals = [describe(draw.tolist()).interval for draw in draws]
    covered = np.mean([low < 28.0 < high for low, high in filter(None, intervals)])
    assert len(intervals) == 4000
    assert 0.94 <= covered <= 0.96


@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy"])
def test_sign_flip_keeps_its_level_without_a_normal_distribution(draw: str) -> None:
    draws = getattr(np.random.default_rng(1), draw)((4000, 8))
    p_values = np.array([sign_flip_p(row.tolist()) for row in draws])
    for level in (2 / 256, 12 / 256, 50 / 256):  # attained exactly, up to 4 standard errors
        allowed = 4 * np.sqrt(level * (1 - level) / len(draws))
        assert np.mean(p_values <= level) == pytest.approx(level, abs=allowed)
