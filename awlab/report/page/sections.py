"""What each section of the page shows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from awlab.plan import Plan
from awlab.report import wording
from awlab.report.figures.forest import Forest, Item, Row, forest
from awlab.report.figures.scatter import Candidate, Scatter, scatter
from awlab.report.grid import FACTS
from awlab.report.results import Results
from awlab.statistics import CellSummary, Effect, Paired, Verdict, main_effects

KINDS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.NO_DIFFERENCE_SHOWN: "unclear",
    Verdict.TOO_FEW_SEEDS: "unclear",
}
COSTS = {"GMACs": "multiply-accumulates (G)", "parameters (M)": "parameters (M)"}
"""Facts that the metric is drawn against, and how their axes are called."""


@dataclass(frozen=True)
class Line:
    """A row of a forest plot with what is written beside it.

    Attributes:
        row: Places.
        label: Of the cell or the effect.
        kind: `better`, `worse`, `unclear`, `untested` or `baseline`.
        number: The mean, in words.
        verdict: What may be said.
        value: The mean; None without one.
    """

    row: Row
    label: str
    kind: str
    number: str
    verdict: str
    value: float | None


@dataclass(frozen=True)
class ForestPlot:
    """A forest plot with its texts."""

    forest: Forest
    lines: Sequence[Line]


@dataclass(frozen=True)
class CostPlot:
    """A scatter plot with the names of its axes and the kinds of its points."""

    scatter: Scatter
    title: str
    kinds: Mapping[str, str]


@dataclass(frozen=True)
class Effects:
    """The main effects of a full factorial.

    Attributes:
        plot: Of those that can be computed; None without any.
        missing: Of the others, name to the cells that lack runs or are not in the plan.
        lacking: All cells that any effect lacks.
    """

    plot: ForestPlot | None
    missing: Mapping[str, Sequence[str]]

    @property
    def lacking(self) -> Sequence[str]:
        return list(dict.fromkeys(name for names in self.missing.values() for name in names))


def kind_of(cell: CellSummary, results: Results) -> str:
    """In one word, how a cell is drawn."""
    if results.is_baseline(cell.name):
        return "baseline"
    return KINDS[cell.difference.verdict] if cell.difference else "untested"


def differences(results: Results) -> ForestPlot | None:
    """The difference of each cell to its baseline; None when there is none to show."""
    cells = results.comparison.cells
    if not any(cell.difference for cell in cells):
        return None
    items = [_item(cell, results) for cell in cells]
    drawn = forest(items)
    assert drawn is not None
    lines = [
        _line(cell, item, row, results)
        for cell, item, row in zip(cells, items, drawn.rows, strict=True)
    ]
    return ForestPlot(drawn, lines)


def _item(cell: CellSummary, results: Results) -> Item:
    published = results.published_difference(cell.name)
    if cell.difference is None:
        return Item(cell.name, replace(cell.sample, mean=None, interval=None), {}, published)
    return Item.of(cell.name, cell.difference.paired, published)


def _line(cell: CellSummary, item: Item, row: Row, results: Results) -> Line:
    kind = kind_of(cell, results)
    sample = cell.sample if kind == "baseline" else item.sample
    return Line(
        row=row,
        label=wording.short(cell.name, results),
        kind=kind,
        number=wording.with_interval(sample, results, signed=kind != "baseline"),
        verdict=wording.verdict(cell, results),
        value=0.0 if kind == "baseline" else item.sample.mean,
    )


def costs(results: Results) -> list[CostPlot]:
    """The metric against what a cell costs, where cells differ in it."""
    kinds = {
        wording.short(cell.name, results): kind_of(cell, results)
        for cell in results.comparison.cells
    }
    plots = [(title, _scatter(results, fact)) for fact, title in COSTS.items()]
    return [CostPlot(drawn, title, kinds) for title, drawn in plots if drawn is not None]


def _scatter(results: Results, fact: str) -> Scatter | None:
    candidates: list[Candidate] = []
    for cell in results.comparison.cells:
        cost = FACTS[fact](results.facts_of(cell.name))
        if cost is not None and cell.sample.mean is not None and not cell.missing:
            name = wording.short(cell.name, results)
            candidates.append(Candidate(name, cost, cell.sample.mean, cell.sample.interval))
    return scatter(candidates, results.comparison.direction)


def effects(plan: Plan, results: Results) -> Effects | None:
    """Main effects of a full factorial of several axes; None of any other study."""
    cells = [cell for cell in plan.cells if cell.excluded is None]
    if plan.ablation.design != "full_factorial" or len(results.varied_labels(plan.baseline)) < 2:
        return None
    found = main_effects(
        replace(results.comparison, cells=tuple(_with_twins(results))),
        {cell.name: cell.labels for cell in cells},
    )
    shown = [(effect, effect.paired) for effect in found if effect.paired is not None]
    missing = {_effect_name(effect): effect.missing for effect in found if effect.missing}
    if not found:
        return None
    return Effects(_effect_plot(shown, results), missing)


def _with_twins(results: Results) -> Iterable[CellSummary]:
    """Cells that share runs with another have its numbers, as a factorial needs every corner."""
    yield from results.comparison.cells
    for name, other in results.same_as.items():
        yield replace(results.comparison[other], name=name)


def _effect_plot(shown: Sequence[tuple[Effect, Paired]], results: Results) -> ForestPlot | None:
    items = [Item.of(_effect_name(effect), paired) for effect, paired in shown]
    drawn = forest(items)
    if drawn is None:
        return None
    lines = [
        Line(
            row=row,
            label=item.name,
            kind="unclear",
            number=wording.with_interval(item.sample, results, signed=True),
            verdict=f"p = {wording.p_value(paired.sign_flip_p)}, not adjusted",
            value=item.sample.mean,
        )
        for item, row, (_, paired) in zip(items, drawn.rows, shown, strict=True)
    ]
    return ForestPlot(drawn, lines)


def _effect_name(effect: Effect) -> str:
    return f"{effect.factor}: {effect.level} instead of {effect.reference}"
