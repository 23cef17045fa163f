"""Means, intervals and p-values of a few numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import special

CONFIDENCE = 0.95
EXACT_UP_TO = 20  # seeds: 2**19 sums in 4 MB; beyond, sampled patterns of signs
SAMPLED_PATTERNS = 99_999


@dataclass(frozen=True)
class Sample:
    """Numbers that differ only by seed.

    Attributes:
        n: How many.
        mean: None without a number.
        sd: Of one number, with n - 1; None below two.
        interval: Of the mean, by Student's t; None below two.
    """

    n: int
    mean: float | None
    sd: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Paired:
    """Differences between runs of equal seeds, with two-sided p-values for "no difference".

    Attributes:
        by_seed: One difference per seed.
        sample: The differences, summed up.
        sign_flip_p: Exact up to `EXACT_UP_TO` seeds.
        t_p: Of the paired t test; None below two seeds.
    """

    by_seed: Mapping[int, float]
    sample: Sample
    sign_flip_p: float
    t_p: float | None


def pair(
    values: Mapping[int, float], reference: Mapping[int, float], *, confidence: float = CONFIDENCE
) -> Paired:
    """Subtract `reference` from `values` seed by seed and test the differences."""
    assert values.keys() == reference.keys(), (values, reference)
    by_seed = {seed: values[seed] - reference[seed] for seed in values}
    differences = list(by_seed.values())
    return Paired(
        by_seed=by_seed,
        sample=describe(differences, confidence=confidence),
        sign_flip_p=sign_flip_p(differences),
        t_p=t_p(differences),
    )


def describe(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Sample:
    """Mean, standard deviation and t interval of the mean of normal `values`."""
    n = len(values)
    mean = float(np.mean(values)) if n else None
    if mean is None or n < 2:
        return Sample(n, mean, None, None)
    sd = float(np.std(values, ddof=1))
    half = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * sd / sqrt(n)
    return Sample(n, mean, sd, (mean - half, mean + half))


def prediction_interval(
    sample: Sample, *, confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Where one more normal number lies, by Student's t; None below two numbers."""
    if sample.mean is None or sample.sd is None:
        return None
    t = float(special.stdtrit(sample.n - 1, (1 + confidence) / 2))
    half = t * sample.sd * sqrt(1 + 1 / sample.n)
    return sample.mean - half, sample.mean + half


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of the sum of `differences` among all patterns of their signs.

    Beyond `EXACT_UP_TO` differences, among `SAMPLED_PATTERNS` random ones and the observed one
    (Phipson and Smyth 2010, arXiv 1603.05766), the same ones at every call.
    """
    values = np.asarray(differences, dtype=float)
    if len(values) <= EXACT_UP_TO:
        sums = values[:1]  # the other sign of the first mirrors every pattern
        for value in values[1:]:
            sums = np.concatenate([sums + value, sums - value])
    else:
        rng = np.random.default_rng(0)
        flips = rng.integers(0, 2, size=(SAMPLED_PATTERNS, len(values)), dtype=np.int8)
        sums = np.append((1 - 2 * flips) @ values, values.sum())
    rounding = 1e-9 * np.abs(values).sum()  # 0.1 + 0.2 and 0.3 are a tie
    return float(np.mean(np.abs(sums) >= abs(values.sum()) - rounding))


def t_p(differences: Sequence[float]) -> float | None:
    """Two-sided p-value of the paired t test; None below two differences."""
    sample = describe(differences)
    if sample.mean is None or sample.sd is None:
        return None
    if sample.sd == 0:
        return float(sample.mean == 0)
    t = sample.mean / (sample.sd / sqrt(sample.n))
    return float(2 * special.stdtr(sample.n - 1, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979), in the order given.

    Rejecting where the result is at most alpha keeps the probability of any false rejection at
    most alpha, whatever the dependence of the tests.
    """
    order = np.argsort(p_values)
    steps = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(steps * np.asarray(p_values)[order])
    return np.minimum(adjusted, 1.0).tolist()
