"""What the statistics of a report promise, and what they keep, by simulation.

Run: python benchmarks/statistics_simulation.py [--studies 20000]

Prints the coverage of 95 % intervals (wanted: 94-96 % at n = 5), the share of studies without any
difference that get a verdict "better" or "worse" (wanted: at most 5 %), and the power at the
difference that `smallest_difference` calls just visible (wanted: 80 %).
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from awlab.statistics import Verdict, compare
from awlab.statistics.power import comparisons_that_can_survive, smallest_difference
from awlab.statistics.significance import describe, pair, sign_flip_p

MEAN, SD = 28.0, 0.3  # percent: a CIFAR-100 error and its spread over seeds
SHOWN = {Verdict.BETTER, Verdict.WORSE}

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
NOISE: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(0, SD, shape),
    "t with 3 degrees of freedom": lambda rng, shape: SD * rng.standard_t(3, shape),
    "skewed (exponential)": lambda rng, shape: SD * (rng.exponential(1, shape) - 1),
    "test set of 10,000 images": lambda rng, shape: (
        rng.binomial(10_000, MEAN / 100, shape) / 100 - MEAN
    ),
}


def main() -> None:
    """Run all simulations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=20_000, help="per line (20000)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (0)")
    arguments = parser.parse_args()
    for part in (coverage, false_verdicts, power):
        for line in part(np.random.default_rng(arguments.seed), arguments.studies):
            print(line)
        print()


def coverage(rng: np.random.Generator, studies: int) -> Iterator[str]:
    """Share of intervals that hold the true value."""
    yield "coverage of 95 % intervals, %          mean   paired difference"
    for seeds in (3, 5, 8, 10):
        for noise, draw in NOISE.items() if seeds == 5 else [("normal", NOISE["normal"])]:
            found = [_covers(*draw(rng, (3, seeds))) for _ in range(studies)]
            mean, difference = 100 * np.mean(found, axis=0)
            yield f"  n = {seeds:2}  {noise:28} {mean:5.1f}   {difference:5.1f}"


def _covers(one: NDArray, other: NDArray, seed: NDArray) -> tuple[bool, bool]:
    """Whether the intervals hold 28 and a difference of 1, for runs that share half the noise."""
    cell, baseline = dict(enumerate(MEAN + 1 + one + seed)), dict(enumerate(MEAN + other + seed))
    mean = describe(list(MEAN + one)).interval
    difference = pair(cell, baseline).sample.interval
    assert mean is not None
    assert difference is not None
    return mean[0] <= MEAN <= mean[1], difference[0] <= 1 <= difference[1]


def false_verdicts(rng: np.random.Generator, studies: int) -> Iterator[str]:
    """Share of studies without any difference that show one."""
    yield "studies without a difference that show one, %      (at most 5)"
    for seeds, comparisons in ((5, 4), (6, 1), (7, 3), (8, 4), (8, 6), (10, 4), (10, 20)):
        for noise, draw in (
            NOISE.items() if (seeds, comparisons) == (8, 4) else [("normal", NOISE["normal"])]
        ):
            wrong = sum(_shows(draw(rng, (comparisons + 1, seeds))) for _ in range(studies // 4))
            yield (
                f"  n = {seeds:2}, {comparisons:2} comparisons  {noise:28} "
                f"{100 * wrong / (studies // 4):5.2f}"
            )


def _shows(errors: NDArray) -> bool:
    runs = {str(row): dict(enumerate(values)) for row, values in enumerate(errors.tolist())}
    seeds = range(errors.shape[1])
    found = compare(runs, baseline="0", seeds=seeds, direction="min")
    return any(cell.difference and cell.difference.verdict in SHOWN for cell in found.cells)


def power(rng: np.random.Generator, studies: int) -> Iterator[str]:
    """How often the difference called just visible is seen, at the strictest step of Holm."""
    yield "power at the smallest visible difference, %      (80)"
    for seeds in (6, 7, 8, 9, 10, 12):
        for comparisons in (1, 2, 4, 6, 10):
            difference = smallest_difference(SD, seeds, comparisons)
            if difference is None:
                continue
            level = 0.05 / comparisons
            draws = rng.normal(difference, SD, (studies // 4, seeds)).tolist()
            seen = np.mean([sign_flip_p(draw) <= level for draw in draws])
            patterns = comparisons_that_can_survive(seeds) // comparisons
            yield (
                f"  n = {seeds:2}, {comparisons:2} comparisons: {difference:.2f} pp at sd {SD} "
                f"({patterns:3} patterns significant)  {100 * seen:5.1f}"
            )


if __name__ == "__main__":
    main()
