"""A table before it is written in any format: texts in rows and columns."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from awlab.report import wording
from awlab.report.results import CellFacts, Results
from awlab.statistics import CellSummary, Verdict

Alignment = Literal["left", "right"]
FACTS: Mapping[str, Callable[[CellFacts], float | None]] = {
    "parameters (M)": lambda facts: _over(facts.parameters, 1e6),
    "GMACs": lambda facts: facts.gmacs,
    "step (ms)": lambda facts: _over(facts.step_seconds, 1e-3),
    "peak memory (MiB)": lambda facts: _over(facts.peak_memory_bytes, 2**20),
}


@dataclass(frozen=True)
class Entry:
    """One text.

    Attributes:
        text: As people read it.
        bold: Only where a cell is shown to be better than the baseline.
        value: The number that the text says; None where rows are sorted by the text itself.
    """

    text: str
    bold: bool = False
    value: float | None = None


@dataclass(frozen=True)
class Grid:
    """Rows of equal length under a header; every text is still as people wrote it."""

    caption: str
    header: tuple[str, ...]
    alignments: tuple[Alignment, ...]
    rows: tuple[tuple[Entry, ...], ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def _nothing(_: CellSummary) -> None:
    return None


@dataclass(frozen=True)
class _Column:
    title: str
    text: Callable[[CellSummary], str]
    value: Callable[[CellSummary], float | None] = _nothing
    alignment: Alignment = "right"
    bold: bool = False

    def entry(self, cell: CellSummary) -> Entry:
        return Entry(self.text(cell), self.bold and _is_better(cell), self.value(cell))


def grid(results: Results) -> Grid:
    """Lay out results: a row per cell, complete or not, in the order of the study.

    Axes on which all cells agree go to the caption; facts that no cell has get no column.
    """
    columns = [*_labels(results), *_measured(results), *_published(results), *_facts(results)]
    rows = (tuple(column.entry(cell) for column in columns) for cell in results.cells)
    return Grid(
        caption=_caption(results),
        header=tuple(column.title for column in columns),
        alignments=tuple(column.alignment for column in columns),
        rows=tuple(rows),
        warnings=tuple(wording.warnings(results)),
        notes=tuple(wording.notes(results)),
    )


def _caption(results: Results) -> str:
    unit = " in %" if results.is_percent else ""
    best = "lower" if results.comparison.direction == "min" else "higher"
    text = f"{results.title}: {results.metric}{unit}, {best} is better."
    if shared := results.shared_labels:
        text += f" All cells: {', '.join(map('='.join, shared.items()))}."
    return text


def _labels(results: Results) -> Iterator[_Column]:
    for axis in results.varied_labels(results.comparison.baseline):
        yield _Column(
            axis, lambda cell, of=axis: results.labels_of(cell.name)[of], alignment="left"
        )


def _measured(results: Results) -> Iterator[_Column]:
    def mean(cell: CellSummary) -> str:
        return wording.with_interval(cell.sample, results)

    def difference(cell: CellSummary) -> str:
        if cell.difference is None:
            return wording.NOTHING
        return wording.with_interval(cell.difference.paired.sample, results, signed=True)

    def p(cell: CellSummary) -> str:
        value = _p(cell)
        return wording.NOTHING if value is None else wording.p_value(value)

    title = "difference (pp)" if results.is_percent else "difference"
    yield _Column("n", wording.runs, lambda cell: cell.sample.n)
    yield _Column(results.metric, mean, lambda cell: cell.sample.mean, bold=True)
    yield _Column(title, difference, _difference)
    yield _Column("p (Holm)", p, _p)
    yield _Column("verdict", lambda cell: wording.verdict(cell, results), alignment="left")


def _published(results: Results) -> Iterator[_Column]:
    def published(cell: CellSummary) -> float | None:
        return results.facts_of(cell.name).published

    def difference(cell: CellSummary) -> float | None:
        return results.published_difference(cell.name)

    def text(value: float | None, *, signed: bool = False) -> str:
        return wording.NOTHING if value is None else wording.number(value, results, signed=signed)

    if any(published(cell) is not None for cell in results.cells):
        yield _Column("paper", lambda cell: text(published(cell)), published)
        yield _Column(
            "paper's difference", lambda cell: text(difference(cell), signed=True), difference
        )


def _facts(results: Results) -> Iterator[_Column]:
    for title, of_facts in FACTS.items():

        def value(
            cell: CellSummary, of: Callable[[CellFacts], float | None] = of_facts
        ) -> float | None:
            return of(results.facts_of(cell.name))

        if any(value(cell) is not None for cell in results.cells):
            yield _Column(title, lambda cell, of=value: _digits(of(cell)), value)


def _difference(cell: CellSummary) -> float | None:
    return None if cell.difference is None else cell.difference.paired.sample.mean


def _p(cell: CellSummary) -> float | None:
    return None if cell.difference is None else cell.difference.holm_p


def _is_better(cell: CellSummary) -> bool:
    return cell.difference is not None and cell.difference.verdict is Verdict.BETTER


def _over(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _digits(value: float | None) -> str:
    """Four digits, also where the last are zeros, so that the numbers of a column are alike."""
    if value is None:
        return wording.NOTHING
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}"
