"""Which runs of a plan are executed now, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from awlab.execute.outcome import FROM_OUTSIDE, failure_of
from awlab.plan import Cell, Plan, Run
from awlab.spec.errors import InputError, did_you_mean

Order = Literal["seeds-first", "cells-first"]
Again = Literal["failed", "all"]


@dataclass(frozen=True)
class Selection:
    """What a user asks for.

    Attributes:
        only: `axis=label`: cells where these hold; of several labels of one axis, any.
        cells: Names of cells; none for all.
        limit: Most runs; None for all.
        order: `seeds-first` finishes one cell before the next, `cells-first` one seed of all cells
            before the next seed, so that a study that is stopped early is still balanced.
        again: Which runs that are over are started again: those that failed, or all; None for none.
        part: `(i, n)`: begin with the i-th of n parts, from 1, then take the others from there, so
            that n processes that begin together do not reach for the same runs; None for all.
    """

    only: Sequence[str] = ()
    cells: Sequence[str] = ()
    limit: int | None = None
    order: Order = "cells-first"
    again: Again | None = None
    part: tuple[int, int] | None = None

    def of(self, plan: Plan) -> list[Run]:
        """The runs to execute.

        Raises:
            InputError: When `only` or `cells` name what the plan does not run.
        """
        wanted = self._cells(plan)
        by_cell = [
            cell.runs
            for cell in plan.cells
            if cell.name in wanted and cell.same_as is None and cell.excluded is None
        ]
        turns = zip(*by_cell, strict=True) if self.order == "cells-first" else by_cell
        runs = [run for run in chain.from_iterable(turns) if self._is_open(run)][: self.limit]
        first, parts = self.part or (1, 1)
        return [run for i in range(parts) for run in runs[(first - 1 + i) % parts :: parts]]

    def _is_open(self, run: Run) -> bool:
        if self.again == "all" or run.state in ("missing", "interrupted"):
            return True
        return run.state == "failed" and (
            self.again == "failed" or failure_of(run.directory) in FROM_OUTSIDE
        )

    def _cells(self, plan: Plan) -> set[str]:
        named = [_cell(plan, name) for name in self.cells] or plan.cells
        labels: dict[str, set[str]] = {}
        for text in self.only:
            axis, label = _pair(plan, text)
            labels.setdefault(axis, set()).add(label)
        return {
            cell.same_as or cell.name
            for cell in named
            if all(cell.labels[axis] in allowed for axis, allowed in labels.items())
        }


def _cell(plan: Plan, name: str) -> Cell:
    names = [cell.name for cell in plan.cells]
    if name not in names:
        raise _unknown("cell", name, names)
    cell = plan[name]
    if cell.excluded is not None:
        raise InputError(f"cell {name!r} is excluded: {cell.excluded}")
    return cell


def _pair(plan: Plan, text: str) -> tuple[str, str]:
    axis, equals, label = text.partition("=")
    axes = plan.ablation.axes
    if not equals:
        raise InputError(f"--only {text}: expected AXIS=LABEL")
    if axis not in axes:
        raise _unknown("axis", axis, list(axes))
    if label not in axes[axis].labelled:
        raise _unknown(f"label of axis {axis}", label, list(axes[axis].labelled))
    return axis, label


def _unknown(what: str, name: str, known: Sequence[str]) -> InputError:
    allowed = f"expected one of {', '.join(known)}"
    return InputError(f"no {what} {name!r}; {allowed}. {did_you_mean(name, known)}".rstrip())
