"""A study as a table of cells and seeds, however narrow or low the terminal."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from awlab.plan import Cell, Plan
from awlab.report.progress import DAMAGED, Progress
from awlab.report.signs import SIGNS
from awlab.spec.metrics import is_percent

NAME_WIDTH = 24
"""Columns of the terminal that the names of cells get before seeds lose their numbers."""
GAP = 2
SHORT = {"out of memory": "memory", "disk full": "disk", DAMAGED: "damaged"}
URGENCY = ("running", "failed", "interrupted", "missing", "finished")
"""States by how much somebody wants to see them when not all cells fit on the terminal."""


def picture(
    plan: Plan, progress: Mapping[str, Progress], console: Console, *, lines: int | None = None
) -> RenderableType:
    """Draw a study.

    Args:
        plan: The study.
        progress: Of its runs, by id.
        console: Where it is drawn.
        lines: Most lines; None for as many as it takes.
    """
    cells = [cell for cell in plan.cells if cell.excluded is None and cell.same_as is None]
    percent = is_percent(plan.ablation.metric.name)
    rows = {
        cell.name: [_mark(progress[run.id], console, percent=percent) for run in cell.runs]
        for cell in cells
    }
    seeds = [f"seed {seed}" for seed in plan.ablation.seed_values]
    width = sum(
        max(len(seed), *(mark.cell_len for mark in marks)) + GAP
        for seed, *marks in zip(seeds, *rows.values(), strict=True)
    )
    separator = f" {SIGNS['missing'].on(console)} "
    names = {cell.name: separator.join(cell.labels.values()) for cell in cells}
    longest = max(map(len, names.values()))
    fits = console.width - width >= min(longest, NAME_WIDTH)
    if not fits:
        seeds, rows, width = _signs(cells, progress, console, percent=percent)
    header, room = separator.join(plan.ablation.axes), max(console.width - width, 1)
    heights = {name: -(-len(label) // room) for name, label in names.items()}
    if lines is not None:
        lines -= -(-len(header) // room)
    shown = _most_urgent(cells, progress, heights, lines)
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="bold")
    table.add_column(header, overflow="fold")
    for seed in seeds:
        table.add_column(seed, no_wrap=fits, overflow="fold")
    for cell in shown:
        style = "bold" if cell.name in plan.baselines else ""
        table.add_row(Text(names[cell.name], style=style), *rows[cell.name])
    return Group(table, *_rest(cells, shown, progress))


def _mark(progress: Progress, console: Console, *, percent: bool) -> Text:
    sign = SIGNS[progress.state]
    text = {
        "finished": _number(progress.value, percent=percent),
        "failed": SHORT.get(progress.failure, progress.failure),
        "running": f"{progress.fraction:.0%}" + (f" {progress.host}" if progress.host else ""),
        "interrupted": f"{progress.fraction:.0%}",
    }.get(progress.state, "")
    return Text(f"{sign.on(console)} {text}".rstrip(), style=sign.style)


def _number(value: float | None, *, percent: bool) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if percent else f"{value:.4g}"


def _signs(
    cells: Sequence[Cell], progress: Mapping[str, Progress], console: Console, *, percent: bool
) -> tuple[list[str], dict[str, list[Text]], int]:
    """Columns and rows for many seeds: a character for each, and the mean of what there is."""
    rows: dict[str, list[Text]] = {}
    for cell in cells:
        of_seeds = [progress[run.id] for run in cell.runs]
        signs = Text()
        for one in of_seeds:
            signs.append(SIGNS[one.state].on(console), SIGNS[one.state].style)
        values = [p.value for p in of_seeds if p.state == "finished" and p.value is not None]
        mean = _number(fmean(values), percent=percent) if values else ""
        rows[cell.name] = [signs, Text(mean)]
    seeds = min(len(cells[0].runs), console.width // 2)
    return ["by seed", "mean"], rows, max(seeds, len("by seed")) + 8 + 2 * GAP


def _most_urgent(
    cells: Sequence[Cell],
    progress: Mapping[str, Progress],
    heights: Mapping[str, int],
    lines: int | None,
) -> list[Cell]:
    """As many cells as fit, above a line on the others."""
    if lines is None or sum(heights.values()) <= lines:
        return list(cells)
    room = lines - 1
    chosen: set[str] = set()
    for cell in sorted(cells, key=lambda cell: _urgency(cell, progress)):
        room -= heights[cell.name]
        if room < 0:
            break
        chosen.add(cell.name)
    return [cell for cell in cells if cell.name in chosen]


def _urgency(cell: Cell, progress: Mapping[str, Progress]) -> int:
    return min(URGENCY.index(progress[run.id].state) for run in cell.runs)


def _rest(
    cells: Sequence[Cell], shown: Sequence[Cell], progress: Mapping[str, Progress]
) -> list[Text]:
    names = {cell.name for cell in shown}
    hidden = [cell for cell in cells if cell.name not in names]
    if not hidden:
        return []
    runs = [progress[run.id].state for cell in hidden for run in cell.runs]
    finished = runs.count("finished")
    return [
        Text(
            f"and {len(hidden)} more cells with {finished} of {len(runs)} runs finished",
            style="dim",
        )
    ]
