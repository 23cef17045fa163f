"""The table of results on a terminal."""

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from awlab.report.grid import Entry, Grid, grid
from awlab.report.headline import headline
from awlab.report.results import Results

LAST = "verdict"
"""Where a terminal is narrow, columns behind this one are left to the page."""
VERDICT_WIDTH = 20
"""Least width of the one column whose texts may be folded."""
GAP = 2


def show_results(console: Console, results: Results) -> None:
    """Print what a study shows: one sentence, the table, what must be known to read it."""
    table = grid(results)
    said = headline(results)
    console.print(Text(said.lead, style="bold"))
    if said.detail:
        console.print(Text(said.detail))
    console.print()
    console.print(Text(table.caption, style="dim"))
    console.print(_table(table, _columns(table, console.width)))
    console.print(_remarks(table))


def _columns(table: Grid, width: int) -> int:
    """How many columns are shown: all where they fit."""
    texts = zip(table.header, *([entry.text for entry in row] for row in table.rows), strict=True)
    widths = [
        VERDICT_WIDTH if title == LAST else max(map(cell_len, (title, *column)))
        for title, *column in texts
    ]
    fits = sum(widths) + GAP * (len(widths) - 1) <= width
    return len(widths) if fits else table.header.index(LAST) + 1


def _table(table: Grid, columns: int) -> Table:
    drawn = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for title, alignment in list(zip(table.header, table.alignments, strict=True))[:columns]:
        drawn.add_column(Text(title), justify=alignment, no_wrap=title != LAST)
    for row in table.rows:
        drawn.add_row(*map(_entry, row[:columns]))
    return drawn


def _entry(entry: Entry) -> Text:
    return Text(entry.text, style="bold green" if entry.bold else "")


def _remarks(table: Grid) -> RenderableType:
    warnings = [Text(f"Warning: {text}", style="yellow") for text in table.warnings]
    return Group(*warnings, *(Text(text, style="dim") for text in table.notes))
