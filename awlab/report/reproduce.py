"""Published results beside ours, row by row, with verdicts fixed in advance.

- `matches`: the 95 % interval of our mean lies within a tolerance of the printed number;
- `within the interval`: the printed number lies in the 95 % prediction interval, where one more run
  of ours would lie; for a printed error is one draw, the paper's recipe with seeds nobody knows;
- `differs`: it lies outside;
- `cannot be resolved with these seeds`: too few runs for an interval, or, for a difference to the
  baseline, the prediction interval holds both the printed difference and none at all;
- `not run here`: no run is finished.

Differences to the baseline come first, because they survive what recipes do to all rows alike.
Their means are paired by seed; their prediction intervals are those of two runs that share no seed,
as the paper's may not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from math import hypot
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from awlab.plan import Plan
from awlab.record.record import Result
from awlab.report.collect import PRINTED
from awlab.report.results import Results
from awlab.report.wording import MINUS
from awlab.spec.experiment import Experiment
from awlab.statistics import CellSummary, Sample
from awlab.statistics.significance import describe, prediction_interval

TOLERANCE = 0.5
"""Percentage points: about the sampling error of 10,000 test images at 28 % error. COCO's AP on its
5,000 validation images repeats to about as much."""
ROUNDING = 0.005
"""Of a printed number with two decimals."""

NUMBERS_WIDTH = 69
"""Of the table without the names of its rows, where each of its numbers has a line."""

Cost = Any
"""With `quantity`, `ours`, `printed`, `decimals`, `verdict`, `note`."""


class Agreement(StrEnum):
    """What may be said of one of our numbers beside a printed one."""

    MATCHES = "matches"
    WITHIN = "within the interval"
    DIFFERS = "differs"
    UNRESOLVED = "cannot be resolved with these seeds"
    NOT_RUN = "not run here"


STYLES = {Agreement.MATCHES: "green", Agreement.WITHIN: "green", Agreement.NOT_RUN: "dim"}


@dataclass(frozen=True)
class Beside:
    """One of our numbers beside a printed one.

    Attributes:
        printed: By the paper.
        ours: Mean over the seeds; None without a run.
        interval: Where one more run would lie; None below two runs.
        agreement: What may be said.
    """

    printed: float
    ours: float | None
    interval: tuple[float, float] | None
    agreement: Agreement


@dataclass(frozen=True)
class Reproduced:
    """A row of a published table.

    Attributes:
        cell: Name.
        source: Where it is printed.
        runs: Finished and declared ones.
        difference: To its baseline; None for a baseline, and where either is not printed.
        error: The metric itself; None where it is not printed.
        costs: Parameters and multiply-accumulates.
    """

    cell: str
    source: str
    runs: tuple[int, int]
    difference: Beside | None
    error: Beside | None
    costs: Sequence[Cost]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "costs": [asdict(cost) for cost in self.costs]}


def reproduce(
    plan: Plan,
    results: Results,
    costs: Mapping[str, Sequence[Cost]],
    *,
    tolerance: float = TOLERANCE,
) -> tuple[Reproduced, ...]:
    """Set the cells that have a published result beside it.

    Args:
        plan: The study.
        results: Of the study.
        costs: By cell, its parameters and multiply-accumulates beside the printed ones.
        tolerance: Largest distance of a match, percentage points.
    """
    return tuple(_rows(plan, results, costs, tolerance))


def beside_paper(
    experiment: Experiment, result: Result, costs: Sequence[Cost], *, tolerance: float = TOLERANCE
) -> Reproduced | None:
    """Set one run beside the published result that its experiment names; None without one."""
    if experiment.paper is None:
        return None
    printed = {name: getattr(experiment.paper, field) for name, field in PRINTED.items()}
    errors = (
        _error(describe([value]), printed[name], tolerance)
        for name, value in result.metrics.items()
        if printed.get(name) is not None
    )
    return Reproduced(
        cell=result.name,
        source=experiment.paper.source,
        runs=(1, 1),
        difference=None,
        error=next(errors, None),
        costs=costs,
    )


def _rows(
    plan: Plan, results: Results, costs: Mapping[str, Sequence[Cost]], tolerance: float
) -> Iterator[Reproduced]:
    comparison = results.comparison
    for cell in plan.cells:
        if cell.paper is None or cell.excluded is not None:
            continue
        ours = comparison[results.same_as.get(cell.name, cell.name)]
        printed = results.facts_of(cell.name).published
        change = results.published_difference(cell.name)
        reference = comparison[comparison.reference_of(ours.name)]
        yield Reproduced(
            cell=cell.name,
            source=cell.paper.source,
            runs=(ours.sample.n, len(comparison.seeds)),
            difference=None if change is None else _difference(ours, reference, change, tolerance),
            error=None if printed is None else _error(ours.sample, printed, tolerance),
            costs=costs.get(cell.name, ()),
        )


def _difference(
    cell: CellSummary, baseline: CellSummary, printed: float, tolerance: float
) -> Beside:
    shared = [seed for seed in cell.by_seed if seed in baseline.by_seed]
    sample = describe([cell.by_seed[seed] - baseline.by_seed[seed] for seed in shared])
    sds = (cell.sample.sd, baseline.sample.sd)
    unpaired = None if None in sds else hypot(*(sd for sd in sds if sd is not None))
    interval = prediction_interval(replace(sample, sd=unpaired))
    agreement = _agreement(sample, interval, printed, tolerance)
    if agreement is Agreement.WITHIN and interval is not None and interval[0] <= 0 <= interval[1]:
        agreement = Agreement.UNRESOLVED
    return Beside(printed, sample.mean, interval, agreement)


def _error(sample: Sample, printed: float, tolerance: float) -> Beside:
    interval = prediction_interval(sample)
    return Beside(printed, sample.mean, interval, _agreement(sample, interval, printed, tolerance))


def _agreement(
    sample: Sample, prediction: tuple[float, float] | None, printed: float, tolerance: float
) -> Agreement:
    if sample.mean is None:
        return Agreement.NOT_RUN
    if sample.interval is None or prediction is None:
        return Agreement.UNRESOLVED
    if all(abs(end - printed) <= tolerance for end in sample.interval):
        return Agreement.MATCHES
    low, high = prediction
    inside = low - ROUNDING <= printed <= high + ROUNDING
    return Agreement.WITHIN if inside else Agreement.DIFFERS


def show_reproduction(console: Console, rows: Sequence[Reproduced]) -> None:
    """Print the verdicts: differences to the baseline first, then errors, then costs."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("cell", overflow="fold")
    table.add_column("runs", justify="right", no_wrap=True)
    room = max(console.width - NUMBERS_WIDTH, 1)
    for title in ("difference, pp", "mean, %", "parameters, M", "GMACs"):
        table.add_column(title, overflow="fold")
    for row in rows:
        costs = {cost.quantity: cost for cost in row.costs}
        table.add_row(
            Text(_broken(row.cell, room)),
            "/".join(map(str, row.runs)),
            _said(row.difference, "+"),
            _said(row.error, ""),
            *(_cost(costs.get(quantity)) for quantity in ("parameters_m", "gmacs")),
        )
    console.print(table)


def _broken(name: str, room: int) -> str:
    """A name in lines that end with its hyphens and commas, as far as they fit."""
    lines = [""]
    for part in re.split(r"(?<=[-,])", name):
        if len(lines[-1]) + len(part) > room:
            lines.append("")
        lines[-1] += part
    return "\n".join(filter(None, lines))


def _said(beside: Beside | None, sign: str) -> Text:
    if beside is None:
        return Text("")
    style = STYLES.get(beside.agreement, "yellow")
    numbers = f"printed {beside.printed:{sign}.2f}"
    if beside.ours is not None:
        numbers = f"{beside.ours:{sign}.2f}\n{numbers}"
    return Text.assemble(numbers.replace("-", MINUS), "\n", (str(beside.agreement), style))


def _cost(cost: Cost | None) -> Text:
    if cost is None:
        return Text("")
    numbers = f"{cost.ours:.{cost.decimals}f}\nprinted {cost.printed:.{cost.decimals}f}"
    style = "green" if cost.verdict == "match" else "yellow"
    return Text.assemble(numbers, "\n", (cost.verdict, style))
