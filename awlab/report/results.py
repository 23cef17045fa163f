"""What a report shows: a comparison, and what is known of its cells besides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from awlab.spec.metrics import is_percent
from awlab.statistics import CellSummary, Comparison
from awlab.statistics.significance import describe


@dataclass(frozen=True)
class CellFacts:
    """What a cell costs, and what was published about it; None is unknown.

    Attributes:
        parameters: Trained numbers.
        gmacs: Billions of multiply-accumulates of one image.
        step_seconds: Of one optimizer step.
        peak_memory_bytes: While training.
        published: The printed value of the metric, in its unit.
    """

    parameters: int | None = None
    gmacs: float | None = None
    step_seconds: float | None = None
    peak_memory_bytes: float | None = None
    published: float | None = None


@dataclass(frozen=True)
class Results:
    """The results of a study.

    Attributes:
        title: Of the study.
        metric: Its name, as in `test/top1_error`; errors and precisions are percent.
        comparison: Of all cells that are run.
        labels: Axis to label, by cell; all cells have the same axes.
        facts: By cell; a cell may have none.
        same_as: Cells that are not run, to the name of the cell that is the same network.
        epoch_chosen_on: The split on which the epoch of the metric was chosen; None where it is
            the last epoch.
    """

    title: str
    metric: str
    comparison: Comparison
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    facts: Mapping[str, CellFacts] = field(default_factory=dict[str, CellFacts])
    same_as: Mapping[str, str] = field(default_factory=dict[str, str])
    epoch_chosen_on: str | None = None

    def __post_init__(self) -> None:
        run = {cell.name for cell in self.comparison.cells}
        assert not run & self.same_as.keys(), "a cell is run, or another one is run for it"
        assert run >= set(self.same_as.values()), "the cell that stands for others is run"
        axes = {tuple(self.labels_of(cell.name)) for cell in self.cells}
        assert len(axes) == 1, f"all cells have the same axes, not {axes}"

    @property
    def cells(self) -> tuple[CellSummary, ...]:
        """All cells in their order, then those for which another one is run, without numbers."""
        twins = (CellSummary(name, {}, {}, describe([])) for name in self.same_as)
        return (*self.comparison.cells, *twins)

    @property
    def is_percent(self) -> bool:
        """Whether the metric is in percent, and a difference in percentage points."""
        return is_percent(self.metric)

    def labels_of(self, name: str) -> Mapping[str, str]:
        """Axis to label; the name itself where no labels are known."""
        return self.labels.get(name, {"cell": name})

    @cached_property
    def shared_labels(self) -> dict[str, str]:
        """Axis to label, of the axes on which all cells agree; none, where they agree on all."""
        rows = [self.labels_of(cell.name) for cell in self.cells]
        shared = {
            axis: label
            for axis, label in rows[0].items()
            if all(row[axis] == label for row in rows)
        }
        return shared if len(shared) < len(rows[0]) else {}

    def varied_labels(self, name: str) -> dict[str, str]:
        """Axis to label, without the shared ones."""
        shared = self.shared_labels
        return {axis: label for axis, label in self.labels_of(name).items() if axis not in shared}

    def facts_of(self, name: str) -> CellFacts:
        """What is known of a cell."""
        return self.facts.get(name, CellFacts())

    def is_baseline(self, name: str) -> bool:
        """Whether other cells are compared with this one."""
        return name in self.comparison.baselines

    def published_difference(self, name: str) -> float | None:
        """The printed value of a cell minus that of its baseline."""
        reference = self.comparison.reference_of(self.same_as.get(name, name))
        value, base = self.facts_of(name).published, self.facts_of(reference).published
        if name == reference or value is None or base is None:
            return None
        return value - base
