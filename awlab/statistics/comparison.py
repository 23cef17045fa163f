"""Paired comparison of the cells of an ablation with their baselines.

**Pairs.** Runs that share a seed share the order of the data, the augmentation and the initial
values of the layers that both networks have, so they are compared seed by seed.

**Intervals** are Student t intervals: with fewer than ten runs, bootstrap intervals cover less than
they promise (Owen, arXiv 2508.10083). They hold for each number alone; only the verdicts account
for the number of comparisons.

**Verdicts** rest on the exact sign-flip test (Fisher 1935), adjusted by Holm's method (1979) over
all cells of the study. Where a change does nothing, a paired difference is as likely to have one
sign as the other; the test needs nothing else, in particular no normal distribution, and is exact
for any number of seeds. The price is a smallest possible p-value (`awlab.statistics.power`): below
six seeds nothing can be shown at 5 %. Such a study says "too few seeds to say" and still has its
intervals. The paired t test stands beside it, unadjusted, for readers who expect it, and decides
nothing.

**Missing runs** fail closed: a cell that lacks a seed, or has a value that is not finite, stays in
the result, is not tested, and counts in Holm's family as a comparison that showed nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite
from typing import Literal, get_args

import numpy as np

from awlab.statistics.power import ALPHA, comparisons_that_can_survive, smallest_difference
from awlab.statistics.significance import CONFIDENCE, Paired, Sample, describe, holm, pair

Direction = Literal["min", "max"]
NOT_FINISHED = "not finished"
DIVERGED = "diverged"


class Verdict(StrEnum):
    """What a comparison may say: words fixed before any result is seen."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE_SHOWN = "no difference shown"
    TOO_FEW_SEEDS = "too few seeds to say"


@dataclass(frozen=True)
class Difference:
    """A cell minus the baseline.

    Attributes:
        paired: The differences, not adjusted for the number of comparisons.
        holm_p: The sign-flip p-value, adjusted over the family.
        verdict: What may be said.
        could_see: The smallest difference that is shown with 80 % power where the sd of the
            differences is the measured one; None where nothing can be shown.
        correlation: Pearson's, between the two cells over the seeds; above zero, pairing has
            made the interval narrower. None below three seeds and where a cell does not vary.
    """

    paired: Paired
    holm_p: float
    verdict: Verdict
    could_see: float | None
    correlation: float | None


@dataclass(frozen=True)
class CellSummary:
    """A cell over its seeds.

    Attributes:
        name: As the study calls it.
        by_seed: The finite values.
        missing: The declared seeds that have none, each with the reason.
        sample: The finite values, summed up, also where some are missing.
        difference: To its baseline; None for a baseline itself, and where this cell or its
            baseline lacks a seed.
    """

    name: str
    by_seed: Mapping[int, float]
    missing: Mapping[int, str]
    sample: Sample
    difference: Difference | None = None


@dataclass(frozen=True)
class Comparison:
    """Every cell of a study, in the order of the study; `baseline` is one of them.

    `references` has other baselines, and the cells that are compared with them, each with its
    baseline.
    """

    cells: tuple[CellSummary, ...]
    baseline: str
    seeds: tuple[int, ...]
    direction: Direction
    confidence: float
    alpha: float
    references: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def baselines(self) -> tuple[str, ...]:
        """The cells that others are compared with."""
        return tuple(dict.fromkeys([self.baseline, *self.references.values()]))

    def reference_of(self, name: str) -> str:
        """The baseline that a cell is compared with; a baseline's is itself."""
        return self.references.get(name, self.baseline)

    def __getitem__(self, name: str) -> CellSummary:
        return next(cell for cell in self.cells if cell.name == name)

    @property
    def family(self) -> int:
        """Number of declared comparisons, tested or not."""
        return len(self.cells) - len(self.baselines)


def compare(
    runs: Mapping[str, Mapping[int, float | str | None]],
    *,
    baseline: str,
    seeds: Sequence[int],
    direction: Direction,
    confidence: float = CONFIDENCE,
    alpha: float = ALPHA,
    references: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare every cell with its baseline.

    Args:
        runs: The metric by cell and seed, or the reason why there is none. No entry and None mean
            that the run is not finished, a number that is not finite that it diverged.
        baseline: The cell that the others are compared with.
        seeds: Those that the study declares, for every cell.
        direction: Whether the metric is better when small ("min") or large ("max").
        confidence: Of every interval.
        alpha: Largest probability that a study without any true difference gets a verdict "better"
            or "worse".
        references: Other baselines and the cells that are compared with them, each with its
            baseline. All comparisons of a study are one family.

    Raises:
        ValueError: When a baseline is no cell or is compared itself, `seeds` is empty or names a
            seed twice, a cell has a seed that is not declared, `direction` is another word, or
            `confidence` or `alpha` is not between 0 and 1.
    """
    references = references or {}
    _check(runs, baseline, seeds, direction, confidence=confidence, alpha=alpha)
    _check_references(runs, baseline, references)
    cells = {name: _summary(name, runs[name], seeds, confidence) for name in runs}
    base = {name: cells[references.get(name, baseline)] for name in cells}
    others = [name for name in cells if base[name].name != name]
    paired = {
        name: pair(cells[name].by_seed, base[name].by_seed, confidence=confidence)
        for name in others
        if not cells[name].missing and not base[name].missing
    }
    p_values = [paired[name].sign_flip_p if name in paired else 1.0 for name in others]
    holm_p = dict(zip(others, holm(p_values), strict=True))
    for name, found in paired.items():
        difference = Difference(
            paired=found,
            holm_p=holm_p[name],
            verdict=_verdict(found, holm_p[name], len(others), direction, alpha),
            could_see=smallest_difference(
                found.sample.sd or 0.0, len(seeds), len(others), alpha=alpha
            ),
            correlation=_correlation(cells[name].by_seed, base[name].by_seed),
        )
        cells[name] = replace(cells[name], difference=difference)
    return Comparison(
        cells=tuple(cells.values()),
        baseline=baseline,
        seeds=tuple(seeds),
        direction=direction,
        confidence=confidence,
        alpha=alpha,
        references=references,
    )


def _check_references(cells: Collection[str], baseline: str, references: Mapping[str, str]) -> None:
    if unknown := {*references, *references.values()} - set(cells):
        raise ValueError(f"references name {sorted(unknown)}; expected some of {list(cells)}")
    baselines = dict.fromkeys([baseline, *references.values()])
    if compared := [name for name in baselines if references.get(name, baseline) != name]:
        raise ValueError(f"baselines {compared} must have themselves as reference")


def _check(
    runs: Mapping[str, Mapping[int, float | str | None]],
    baseline: str,
    seeds: Sequence[int],
    direction: str,
    *,
    confidence: float,
    alpha: float,
) -> None:
    if baseline not in runs:
        raise ValueError(f"baseline (={baseline!r}) must be one of the cells {list(runs)}")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds (={list(seeds)}) must name at least one seed, and each once")
    for name, values in runs.items():
        if undeclared := sorted(values.keys() - set(seeds)):
            raise ValueError(f"cell {name!r} has seeds {undeclared} that are not in {list(seeds)}")
    if direction not in get_args(Direction):
        raise ValueError(f"direction (={direction!r}) must be one of {get_args(Direction)}")
    for word, value in (("confidence", confidence), ("alpha", alpha)):
        if not 0 < value < 1:
            raise ValueError(f"{word} (={value}) must be between 0 and 1")


def _summary(
    name: str, values: Mapping[int, float | str | None], seeds: Sequence[int], confidence: float
) -> CellSummary:
    by_seed: dict[int, float] = {}
    missing: dict[int, str] = {}
    for seed in seeds:
        value = values.get(seed)
        if value is None or isinstance(value, str):
            missing[seed] = value or NOT_FINISHED
        elif not isfinite(value):
            missing[seed] = DIVERGED
        else:
            by_seed[seed] = value
    sample = describe(list(by_seed.values()), confidence=confidence)
    return CellSummary(name, by_seed, missing, sample)


def _verdict(
    paired: Paired, holm_p: float, family: int, direction: Direction, alpha: float
) -> Verdict:
    if comparisons_that_can_survive(paired.sample.n, alpha=alpha) < family:
        return Verdict.TOO_FEW_SEEDS
    if holm_p > alpha:
        return Verdict.NO_DIFFERENCE_SHOWN
    assert paired.sample.mean is not None
    lower = paired.sample.mean < 0
    return Verdict.BETTER if lower == (direction == "min") else Verdict.WORSE


def _correlation(values: Mapping[int, float], reference: Mapping[int, float]) -> float | None:
    pairs = np.array([(values[seed], reference[seed]) for seed in values])
    if len(pairs) < 3 or (np.ptp(pairs, axis=0) == 0).any():
        return None
    return float(np.corrcoef(pairs.T)[0, 1])
