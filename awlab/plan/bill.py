"""What a study still costs, and what its number of seeds can show."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, variance
from typing import Any

from awlab.plan.runs import Cell, Plan, Run
from awlab.record.record import Result, metric_of, read_result
from awlab.record.run_directory import State
from awlab.spec.errors import InputError
from awlab.statistics.power import (
    comparisons_that_can_survive,
    seeds_needed,
    smallest_difference,
    smallest_p,
)

WEIGHED = 20
"""Finished runs whose size on disk is measured."""


@dataclass(frozen=True)
class Estimate:
    """What a run is going to cost.

    Attributes:
        seconds: That it takes.
        bytes: Of its directory.
    """

    seconds: float
    bytes: int


@dataclass(frozen=True)
class Bill:
    """What a study costs.

    Attributes:
        runs: Distinct ones.
        states: Number of runs in each state that occurs.
        run_hours_left: Estimated time of all runs that are not finished, one after the other: each
            takes as long as the finished ones of its cell, or else as was estimated for its cell,
            or else as the finished ones of the study; half-finished ones count whole. None when
            there is nothing to estimate it from.
        bytes_left: Estimated size of their directories, in the same way, but finished runs of any
            cell come first. None when there is nothing to estimate it from.
        measured: Finished runs that the estimates rest on.
        estimated: Cells of whose runs a few steps were measured.
    """

    runs: int
    states: Mapping[State, int]
    run_hours_left: float | None
    bytes_left: int | None
    measured: int
    estimated: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Power:
    """What the seeds of a study can show, by its exact sign-flip test with Holm's correction.

    Attributes:
        seeds: Of each cell.
        comparisons: Distinct cells besides the baselines.
        smallest_p: Smallest two-sided p-value that is possible.
        can_survive: Largest number of comparisons that leaves any verdict possible at 5 %.
        seeds_needed: Fewest seeds with which each comparison can get a verdict.
        sd: Of paired differences, in the unit of the metric; None when unknown.
        smallest_difference: That is shown with 80 % power. None when `sd` is, or when these seeds
            can show nothing.
    """

    seeds: int
    comparisons: int
    smallest_p: float
    can_survive: int
    seeds_needed: int | None
    sd: float | None
    smallest_difference: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def bill(plan: Plan, estimates: Mapping[str, Estimate] | None = None) -> Bill:
    """Estimate what the unfinished runs of a plan cost.

    Args:
        plan: The study.
        estimates: Of runs, by cell, where a few steps were measured.
    """
    estimates = estimates or {}
    finished = results(plan.runs)
    sizes = [_size(run.path) for run, _ in finished[:WEIGHED]]
    seconds = {run.id: result.seconds for run, result in finished}
    known = bool(finished or estimates)
    return Bill(
        runs=len(plan.runs),
        states=plan.states,
        run_hours_left=_seconds_left(plan, seconds, estimates) / 3600 if known else None,
        bytes_left=_bytes_left(plan, sizes, estimates) if known else None,
        measured=len(finished),
        estimated=len(estimates),
    )


def power(plan: Plan, sd: float | None = None) -> Power:
    """Say what the seeds of a plan can show.

    Args:
        plan: The study.
        sd: Of paired differences, in the unit of the metric; taken from the finished runs if None.
    """
    seeds, comparisons = len(plan.ablation.seed_values), len(plan.compared)
    known = measured_sd(plan) if sd is None else sd
    return Power(
        seeds=seeds,
        comparisons=comparisons,
        smallest_p=smallest_p(seeds),
        can_survive=comparisons_that_can_survive(seeds),
        seeds_needed=seeds_needed(max(comparisons, 1)),
        sd=known,
        smallest_difference=(
            None if known is None else smallest_difference(known, seeds, comparisons)
        ),
    )


def measured_sd(plan: Plan) -> float | None:
    """Sd of paired differences to the baselines, pooled over the cells; None below two pairs."""
    metric = plan.ablation.metric.name
    values = {run.id: metric_of(result, metric) for run, result in results(plan.runs)}
    by_seed = {
        name: {run.seed: values.get(run.id) for run in plan[name].runs} for name in plan.baselines
    }
    squares, freedom = 0.0, 0
    for cell in plan.compared:
        baseline = by_seed[plan.references.get(cell.name, plan.baseline)]
        pairs = [(values.get(run.id), baseline[run.seed]) for run in cell.runs]
        differences = [a - b for a, b in pairs if a is not None and b is not None]
        if len(differences) > 1:
            squares += variance(differences) * (len(differences) - 1)
            freedom += len(differences) - 1
    return sqrt(squares / freedom) if freedom else None


def results(runs: Iterable[Run]) -> list[tuple[Run, Result]]:
    """Read what finished runs left; one whose file was damaged is left out."""
    found: list[tuple[Run, Result]] = []
    for run in runs:
        if run.state == "finished":
            with suppress(InputError, OSError):
                found.append((run, read_result(run.directory)))
    return found


def _seconds_left(
    plan: Plan, seconds: Mapping[str, float], estimates: Mapping[str, Estimate]
) -> float:
    typical = fmean([*seconds.values()] or [one.seconds for one in estimates.values()])
    total = 0.0
    for cell, left in _left(plan):
        own = [seconds[run.id] for run in cell.runs if run.id in seconds]
        estimate = estimates[cell.name].seconds if cell.name in estimates else typical
        total += left * (fmean(own) if own else estimate)
    return total


def _bytes_left(plan: Plan, sizes: Sequence[int], estimates: Mapping[str, Estimate]) -> int:
    typical = fmean(sizes or [one.bytes for one in estimates.values()])
    return round(sum(left * typical for _, left in _left(plan)))


def _left(plan: Plan) -> Iterator[tuple[Cell, int]]:
    """Cells with runs of their own, and how many of these are not finished."""
    for cell in plan.cells:
        if cell.same_as is None and cell.excluded is None:
            yield cell, sum(run.state != "finished" for run in cell.runs)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
