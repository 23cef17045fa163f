"""Learning curves: what the runs of each cell recorded epoch by epoch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import isfinite

import numpy as np

from awlab.plan import Plan, Run
from awlab.record.record import read_epochs

SHOWN = (
    "val/top1_error",
    "val/map",
    "val/map_50",
    "val/map_75",
    "val/loss",
    "train/loss",
    "train/top1_error",
    "val/top5_error",
    "train/top5_error",
)
"""Metrics that are drawn, where they were recorded; a reader sees the first one first."""
MOST_NUMBERS = 38_000
"""In all bands together: of a large study, fewer epochs and metrics are drawn, so that a page stays
small."""
FEWEST_EPOCHS = 40
DIGITS = 4

OfRun = Mapping[int, Mapping[str, float]]
"""Metrics by epoch."""


@dataclass(frozen=True)
class Band:
    """A metric of a cell at the epochs of `Curves`; None where it was not recorded.

    Attributes:
        mean: Over the runs.
        low: The smallest of the runs.
        high: The largest of the runs.
    """

    mean: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]


@dataclass(frozen=True)
class Curves:
    """Learning curves of a study.

    Attributes:
        epochs: Counted from 1; of a long training not all.
        metrics: In the order of `SHOWN`; of a large study the first ones.
        bands: Cell to metric to band. A metric that a cell has not recorded is not there.
        thinned: Whether epochs are left out.
    """

    epochs: Sequence[int]
    metrics: Sequence[str]
    bands: Mapping[str, Mapping[str, Band]]
    thinned: bool


def curves(plan: Plan, cells: Iterable[str]) -> Curves | None:
    """Read the learning curves of some cells; None when no run has begun.

    A band is over the finished runs of a cell, or while there is none, over those that have begun;
    it ends where the shortest of them ends.
    """
    of_cells = {name: _runs(plan[name].runs) for name in cells}
    every = sorted({epoch for runs in of_cells.values() for epoch in _common(runs)})
    recorded = {
        name
        for runs in of_cells.values()
        for of_run in runs
        for row in of_run.values()
        for name in row
    }
    room = MOST_NUMBERS // (3 * len(of_cells))
    metrics = [name for name in SHOWN if name in recorded][: max(1, room // FEWEST_EPOCHS)]
    if not every or not metrics:
        return None
    epochs = _thinned(every, max(FEWEST_EPOCHS, room // len(metrics)))
    bands = {name: _bands(runs, metrics, epochs) for name, runs in of_cells.items() if runs}
    return Curves([epoch + 1 for epoch in epochs], metrics, bands, len(epochs) < len(every))


def _runs(runs: Sequence[Run]) -> list[OfRun]:
    finished = [run for run in runs if run.state == "finished"]
    read = [
        {epoch.epoch: epoch.metrics for epoch in read_epochs(run.directory)}
        for run in finished or [run for run in runs if run.state != "missing"]
    ]
    return [of_run for of_run in read if of_run]


def _common(runs: Sequence[OfRun]) -> set[int]:
    return reduce(set.intersection, map(set, runs)) if runs else set()


def _thinned(epochs: Sequence[int], most: int) -> list[int]:
    """Evenly chosen epochs, the first and the last among them."""
    if len(epochs) <= most:
        return list(epochs)
    return [epochs[k] for k in np.linspace(0, len(epochs) - 1, most).round().astype(int)]


def _bands(runs: Sequence[OfRun], metrics: Sequence[str], epochs: Sequence[int]) -> dict[str, Band]:
    common = _common(runs)
    found = {
        metric: [_values(runs, metric, epoch) if epoch in common else [] for epoch in epochs]
        for metric in metrics
    }
    return {metric: _band(values) for metric, values in found.items() if any(values)}


def _values(runs: Sequence[OfRun], metric: str, epoch: int) -> list[float]:
    """One number per run; none where a run lacks it."""
    values = [of_run[epoch].get(metric, np.nan) for of_run in runs]
    return values if all(map(isfinite, values)) else []


def _band(values: Sequence[Sequence[float]]) -> Band:
    return Band(
        mean=[_round(sum(of_epoch) / len(of_epoch)) if of_epoch else None for of_epoch in values],
        low=[_round(min(of_epoch)) if of_epoch else None for of_epoch in values],
        high=[_round(max(of_epoch)) if of_epoch else None for of_epoch in values],
    )


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
