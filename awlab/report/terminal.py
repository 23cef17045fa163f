"""What the verbs print on a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from awlab.record.record import Result, read_result
from awlab.record.run_directory import RunDirectory
from awlab.spec.base import Family
from awlab.spec.errors import InputError
from awlab.spec.metrics import DECIDING, deciding_metric, is_percent

STATE_STYLE = {"finished": "green", "failed": "red", "interrupted": "yellow", "missing": "dim"}
VERDICT_STYLE = {"ok": "green", "note": "yellow", "problem": "bold red"}


def show_result(console: Console, directory: RunDirectory, result: Result) -> None:
    """Say what a finished run is worth and where it lies."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold")
    title, value, others = _tested(result.metrics)
    rows.add_row(f"Test {title}", f"[bold cyan]{value}[/]{others}")
    metric = deciding_metric(result.last.metrics, "val")
    best, last = (epoch.metrics[metric] for epoch in (result.best, result.last))
    rows.add_row(
        f"Validation {title}",
        f"best {best:.2f} % in epoch {result.best.epoch + 1}, last {last:.2f} % of {result.epochs}",
    )
    rows.add_row("Network", f"{result.parameters:,} parameters, {result.gmacs:.4g} GMACs")
    rows.add_row(
        "Training",
        f"{_duration(result.seconds)}, {result.images_per_second:,.0f} images/s, "
        f"{result.peak_memory_bytes / 2**20:,.0f} MiB",
    )
    rows.add_row("Run directory", str(directory.path))
    for folder in (directory.gradcam, directory.detections):
        sheet = folder / "contact_sheet.png"
        if sheet.exists():
            rows.add_row("Pictures", str(sheet))
    if directory.wandb.is_dir():
        rows.add_row("W&B, here", f"wandb leet {directory.wandb}")
        rows.add_row("W&B, online", f"wandb sync {directory.wandb}")
    console.print(rows)


def _tested(test: Mapping[str, float]) -> tuple[str, str, str]:
    """What was measured, its value, and what else there is of the kind."""
    if deciding_metric(test, "test") == "test/map":
        names = {"test/map_50": "AP50", "test/map_75": "AP75"}
        others = [f", {words} {test[name]:.2f} %" for name, words in names.items() if name in test]
        return "AP", f"{test['test/map']:.2f} %", "".join(others)
    top5 = f", top-5 {test['test/top5_error']:.2f} %" if "test/top5_error" in test else ""
    return "error", f"{test['test/top1_error']:.2f} %", f" top-1{top5}"


def show_metrics(console: Console, metrics: Mapping[str, float]) -> None:
    """Print metrics by name; errors and precisions are percent."""
    rows = Table.grid(padding=(0, 2))
    for name, value in metrics.items():
        rows.add_row(name, f"{value:.2f} %" if is_percent(name) else f"{value:.4f}")
    console.print(rows)


def run_rows(runs: Mapping[str, RunDirectory]) -> list[dict[str, Any]]:
    """One plain row per run: id, state, test and validation in percent, epochs, folder.

    Of a classifier they are its top-1 errors, of a detector its precisions.
    """
    return [_run_row(identity, directory) for identity, directory in runs.items()]


def _run_row(identity: str, directory: RunDirectory) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": identity,
        "state": directory.state,
        "test/top1_error": None,
        "val/top1_error": None,
        "test/map": None,
        "val/map": None,
        "epochs": None,
        "folder": str(directory.path),
    }
    if row["state"] == "finished":
        try:
            result = read_result(directory)
        except InputError:
            return row | {"state": "failed"}
        for name in DECIDING.values():
            row[f"test/{name}"] = result.metrics.get(f"test/{name}")
            row[f"val/{name}"] = result.best.metrics.get(f"val/{name}")
        row["epochs"] = result.epochs
    return row


def show_runs(console: Console, rows: Sequence[Mapping[str, Any]], root: Path) -> None:
    """Print the table of runs."""
    if not rows:
        console.print(f"no runs in {root}")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("run", "state"):
        table.add_column(name, overflow="fold")
    for name in ("test error", "best val", "epochs"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        errors = (_error_or_precision(row, split) for split in ("test", "val"))
        state = Text(row["state"], style=STATE_STYLE[row["state"]])
        table.add_row(Path(row["folder"]).name, state, *errors, str(row["epochs"] or ""))
    console.print(table)


def kind_rows(families: Sequence[type[Family]]) -> list[dict[str, str]]:
    """One plain row per kind: family, kind, what it is."""
    return [
        {"family": family.family, "kind": kind, "what": _first_line(member)}
        for family in families
        for kind, member in sorted(family.members.items())
    ]


def show_kinds(console: Console, rows: Sequence[Mapping[str, str]]) -> None:
    """Print the kinds of all families."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("family", "kind", "what"):
        table.add_column(name, overflow="fold")
    before = None
    for row in rows:
        table.add_row(
            row["family"] if row["family"] != before else "", f"[cyan]{row['kind']}[/]", row["what"]
        )
        before = row["family"]
    console.print(table)


def show_checks(console: Console, checks: Sequence[Any]) -> None:
    """Print checks: objects with `name`, `verdict` and `detail`."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        verdict = Text(check.verdict, style=VERDICT_STYLE[check.verdict])
        table.add_row(verdict, check.name, Text(check.detail, overflow="fold"))
    console.print(table)


def _first_line(member: type[Family]) -> str:
    return (member.__doc__ or "").strip().splitlines()[0] if member.__doc__ else ""


def _error_or_precision(row: Mapping[str, Any], split: str) -> str:
    error, precision = (row[f"{split}/{name}"] for name in DECIDING.values())
    if precision is not None:
        return f"AP {precision:.2f} %"
    return "" if error is None else f"{error:.2f} %"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
