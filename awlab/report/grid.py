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
    """One text; bold only where a cell is shown to be better than the baseline."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Grid:
    """Rows of equal length under a header; every text is still as people wrote it."""

    caption: str
    header: tuple[str, ...]
    alignments: tuple[Alignment, ...]
    rows: tuple[tuple[Entry, ...], ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    title: str
    text: Callable[[CellSummary], str]
    alignment: Alignment = "right"
    bold: bool = False


def grid(results: Results) -> Grid:
    """Lay out results: a row per cell, complete or not, in the order of the study.

    Axes on which all cells agree go to the caption; facts that no cell has get no column.
    """
    columns = [*_labels(results), *_measured(results), *_published(results), *_facts(results)]
    rows = (
        tuple(Entry(column.text(cell), column.bold and _is_better(cell)) for column in columns)
        for cell in results.cells
    )
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
        yield _Column(axis, lambda cell, of=axis: results.labels_of(cell.name)[of], "left")


def _measured(results: Results) -> Iterator[_Column]:
    def difference(cell: CellSummary) -> str:
        if cell.difference is None:
            return wording.NOTHING
        return wording.with_interval(cell.difference.paired.sample, results, signed=True)

    def p(cell: CellSummary) -> str:
        if cell.difference is None:
            return wording.NOTHING
        return wording.p_value(cell.difference.holm_p)

    def mean(cell: CellSummary) -> str:
        return wording.with_interval(cell.sample, results)

    yield _Column("n", wording.runs)
    yield _Column(results.metric, mean, bold=True)
    yield _Column("difference (pp)" if results.is_percent else "difference", difference)
    yield _Column("p (Holm)", p)
    yield _Column("verdict", lambda cell: wording.verdict(cell, results), "left")


def _published(results: Results) -> Iterator[_Column]:
    def text(value: float | None, *, signed: bool = False) -> str:
        return wording.NOTHING if value is None else wording.number(value, results, signed=signed)

    def difference(cell: CellSummary) -> str:
        return text(results.published_difference(cell.name), signed=True)

    if any(results.facts_of(cell.name).published is not None for cell in results.cells):
        yield _Column("paper", lambda cell: text(results.facts_of(cell.name).published))
        yield _Column("paper's difference", difference)


def _facts(results: Results) -> Iterator[_Column]:
    for title, value in FACTS.items():
        if any(value(results.facts_of(cell.name)) is not None for cell in results.cells):
            yield _Column(title, lambda cell, of=value: _digits(of(results.facts_of(cell.name))))


def _is_better(cell: CellSummary) -> bool:
    return cell.difference is not None and cell.difference.verdict is Verdict.BETTER


def _over(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _digits(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:.4g}"
