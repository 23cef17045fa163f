"""What a number of seeds can show, before the money is spent.

Verdicts rest on the exact sign-flip test with Holm's correction, so these are facts about that
test: n paired differences have 2**n equally likely patterns of signs, and no p-value is below that
of the two most extreme ones.
"""

from math import inf, sqrt

from scipy import special

ALPHA = 0.05
POWER = 0.8
MOST_SEEDS = 1000


def smallest_p(seeds: int) -> float:
    """Smallest two-sided p-value that the sign-flip test can give."""
    return 2.0 ** (1 - seeds)


def comparisons_that_can_survive(seeds: int, *, alpha: float = ALPHA) -> int:
    """Largest family in which Holm's correction leaves any verdict possible."""
    return int(alpha / smallest_p(seeds))


def seeds_needed(
    comparisons: int, *, difference: float = inf, sd: float = 0.0, alpha: float = ALPHA
) -> int | None:
    """Fewest seeds with which each of `comparisons` can get a verdict.

    Args:
        comparisons: Size of the family: the cells besides the baseline.
        difference: That has to be seen with 80 % power, in the unit of `sd`.
        sd: Of the paired differences.
        alpha: Family-wise.

    Returns:
        A number of seeds; None when `MOST_SEEDS` are too few.
    """
    for seeds in range(1, MOST_SEEDS + 1):
        seen = smallest_difference(sd, seeds, comparisons, alpha=alpha)
        if seen is not None and seen <= difference:
            return seeds
    return None


def smallest_difference(
    sd: float, seeds: int, comparisons: int = 1, *, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """Smallest true difference that a verdict shows with probability `power`.

    For normal differences, at the strictest step of Holm's method, level alpha / comparisons. Where
    only the two most extreme patterns of signs are significant, power is the probability that all
    seeds agree, which is exact; elsewhere it is the paired t test's at the level that the sign-flip
    test really attains, which has 73 to 80 % where 80 % is asked for
    (`benchmarks/statistics_simulation.py`).

    Args:
        sd: Of the paired differences.
        seeds: Pairs.
        comparisons: Size of the family.
        alpha: Family-wise.
        power: Probability of seeing it.

    Returns:
        A difference in the unit of `sd`; None when these seeds can show nothing.
    """
    patterns = comparisons_that_can_survive(seeds, alpha=alpha) // max(comparisons, 1)
    if patterns == 0:
        return None
    if patterns == 1:
        return sd * float(special.ndtri(power ** (1 / seeds)))
    return smallest_difference_of_t_test(sd, seeds, alpha=patterns * smallest_p(seeds), power=power)


def smallest_difference_of_t_test(
    sd: float, seeds: int, *, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Smallest true difference that one two-sided paired t test finds with probability `power`.

    By the noncentral t distribution; the tail on the wrong side is left out (below 1e-4). `seeds`
    must be at least 2.
    """
    critical = special.stdtrit(seeds - 1, 1 - alpha / 2)
    return sd / sqrt(seeds) * float(special.nctdtrinc(seeds - 1, 1 - power, critical))
