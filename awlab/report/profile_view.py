"""What networks cost, on a terminal: the stages of one, or the cells of a study."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

VERDICT_STYLE = {"match": "green", "differs": "yellow"}


def show_profile(
    console: Console, profile: Any, comparisons: Sequence[Any], source: str | None
) -> None:
    """Print what a network costs.

    Args:
        console: Where to.
        profile: With `parts` and `total`: `name`, `parameters`, `macs`, `torch_macs`; and with
            `aw_convolutions`, their names.
        comparisons: With `quantity`, `ours`, `printed`, `decimals`, `verdict`, `note`.
        source: Where the printed numbers stand; None to leave them out.
    """
    table = _costs("stage")
    for part in (*profile.parts, profile.total):
        style = "bold" if part.name == "total" else ""
        table.add_row(part.name, *_cost(asdict(part)), style=style)
    console.print(table)
    if profile.aw_convolutions:
        names = Text(", ".join(profile.aw_convolutions))
        console.print(f"\n[bold]{len(profile.aw_convolutions)} AW-convolutions:[/]", names)
    if source is None:
        return
    console.print(f"\n[bold]beside {source}[/]" if comparisons else f"\n{source} prints neither")
    for comparison in comparisons:
        console.print(*_compared(comparison), sep="")


def cell_rows(
    profiles: Mapping[str, Any], comparisons: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """One plain row per cell: its name, what its network costs, what a paper prints.

    Args:
        profiles: By cell, with `total`: `parameters`, `macs`, `torch_macs`.
        comparisons: By cell, where a paper prints one of them.
    """
    return [
        {
            "cell": name,
            "parameters": profile.total.parameters,
            "macs": profile.total.macs,
            "torch_macs": profile.total.torch_macs,
            "paper": [asdict(comparison) for comparison in comparisons.get(name, ())],
        }
        for name, profile in profiles.items()
    ]


def show_cells(console: Console, rows: Sequence[Mapping[str, Any]], *, beside_paper: bool) -> None:
    """Print the rows of `cell_rows`, with printed numbers and verdicts if they are asked for."""
    if beside_paper:
        _show_beside_paper(console, rows)
        return
    table = _costs("cell")
    for row in rows:
        table.add_row(row["cell"], *_cost(row))
    console.print(table)


def _show_beside_paper(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("cell", overflow="fold")
    for name in ("parameters\n(millions)", "GMACs"):
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("printed", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)  # which note
    notes = list(dict.fromkeys(found["note"] for row in rows for found in row["paper"]))
    notes = [note for note in notes if note is not None]
    for row in rows:
        own = [f"[{notes.index(found['note']) + 1}]" for found in row["paper"] if found["note"]]
        table.add_row(row["cell"], *_beside_paper(row), Text(" ".join(dict.fromkeys(own))))
    console.print(table)
    verdicts = [found["verdict"] for row in rows for found in row["paper"]]
    console.print(f"\n{verdicts.count('match')} of {len(verdicts)} printed numbers are met")
    footnotes = Table.grid(padding=(0, 1))
    for number, note in enumerate(notes, 1):
        footnotes.add_row(Text(f"[{number}]"), Text(note))
    console.print(footnotes)


def _beside_paper(row: Mapping[str, Any]) -> Iterator[str | Text]:
    """Ours, the printed number and the verdict, of parameters and of MACs."""
    found = {comparison["quantity"]: comparison for comparison in row["paper"]}
    yield from (f"{row['parameters'] / 1e6:.2f}", *_printed(found.get("parameters_m")))
    yield from (f"{row['macs'] / 1e9:.4f}", *_printed(found.get("gmacs")))


def _printed(comparison: Mapping[str, Any] | None) -> tuple[str, str | Text]:
    if comparison is None:
        return "", ""
    verdict = comparison["verdict"]
    number = f"{comparison['printed']:.{comparison['decimals']}f}"
    return number, Text(verdict, style=VERDICT_STYLE[verdict])


def _compared(comparison: Any) -> Iterator[Text]:
    unit = {"parameters_m": "M parameters", "gmacs": "GMACs"}[comparison.quantity]
    decimals = comparison.decimals
    yield Text(
        f"  {comparison.ours:.{decimals}f} {unit}, printed {comparison.printed:.{decimals}f}: "
    )
    yield Text(comparison.verdict, style=VERDICT_STYLE[comparison.verdict])
    if comparison.note:
        yield Text(f" ({comparison.note})")


def _costs(of: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(of, overflow="fold")
    for name in ("parameters", "GMACs", "GFLOPs (torch)"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cost(row: Mapping[str, Any]) -> tuple[str, str, str]:
    macs, torch_macs = row["macs"] / 1e9, row["torch_macs"] / 1e9
    return f"{row['parameters']:,}", f"{macs:.4f}", f"{2 * torch_macs:.4f}"
