"""Which runs of a plan are executed now, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Literal

from awlab.plan import Plan, Run
from awlab.spec.errors import InputError, did_you_mean

Order = Literal["seeds-first", "cells-first"]


@dataclass(frozen=True)
class Selection:
    """What a user asks for.

    Attributes:
        only: `axis=label`: cells where all of these hold.
        cells: Names of cells; none for all.
        limit: Most runs; None for all.
        order: `seeds-first` finishes one cell before the next, `cells-first` one seed of all cells
            before the next seed, so that a study that is stopped early is still balanced.
        retry_failed: Whether failed runs are started again.
    """

    only: Sequence[str] = ()
    cells: Sequence[str] = ()
    limit: int | None = None
    order: Order = "cells-first"
    retry_failed: bool = False

    def of(self, plan: Plan) -> list[Run]:
        """The runs to execute.

        Raises:
            InputError: When `only` or `cells` name what the plan does not have.
        """
        wanted = self._cells(plan)
        by_cell = [
            [run for run in cell.runs if self._is_open(run)]
            for cell in plan.cells
            if cell.name in wanted and cell.same_as is None
        ]
        if self.order == "cells-first":
            turns = zip_longest(*by_cell)
            ordered = [run for run in chain.from_iterable(turns) if run is not None]
        else:
            ordered = list(chain.from_iterable(by_cell))
        return ordered[: self.limit]

    def _is_open(self, run: Run) -> bool:
        return run.state in ("missing", "interrupted") or (
            self.retry_failed and run.state == "failed"
        )

    def _cells(self, plan: Plan) -> set[str]:
        names = [cell.name for cell in plan.cells]
        for name in self.cells:
            if name not in names:
                raise _unknown("cell", name, names)
        pairs = [self._pair(plan, text) for text in self.only]
        return {
            cell.same_as or cell.name
            for cell in plan.cells
            if (not self.cells or cell.name in self.cells)
            and all(cell.labels[axis] == label for axis, label in pairs)
        }

    @staticmethod
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
