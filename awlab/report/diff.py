"""Two runs side by side: what was asked for, under what circumstances, what came of it."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from awlab.record.record import Result, read_result
from awlab.record.run_directory import RunDirectory, State
from awlab.report.provenance import facts_of, last_attempt
from awlab.report.wording import MINUS, NOTHING
from awlab.spec.base import Spec
from awlab.spec.errors import InputError
from awlab.spec.experiment import NOT_IDENTITY, Experiment
from awlab.spec.load import load_experiment

MEASURED = ("parameters", "gmacs", "seconds", "images_per_second", "peak_memory_bytes", "attempts")
"""Fields of a result that are numbers besides its metrics."""


@dataclass(frozen=True)
class Row:
    """One thing that differs; None is not there.

    Attributes:
        name: Dotted path in the experiment, or what was recorded.
        left: Of the first run.
        right: Of the second run.
    """

    name: str
    left: Any
    right: Any


@dataclass(frozen=True)
class RunDiff:
    """Two runs.

    Attributes:
        runs: Their folders.
        ids: Of their experiments; equal ones mean the same run.
        states: Of their folders.
        spec: What differs in the experiments; nodes that cannot change a result come last.
        environment: What differs in versions, code, devices, platform and command.
        metrics: All numbers of the results, also equal ones.
    """

    runs: tuple[str, str]
    ids: tuple[str, str]
    states: tuple[State, State]
    spec: tuple[Row, ...]
    environment: tuple[Row, ...]
    metrics: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; numbers that are not finite are null."""
        return json.loads(json.dumps(asdict(self)), parse_constant=lambda _: None)


def diff(left: Path, right: Path) -> RunDiff:
    """Compare two runs, finished or not.

    Raises:
        InputError: When a folder holds no run that can be read.
    """
    folders = (RunDirectory(left), RunDirectory(right))
    first, second = map(_experiment, folders)
    return RunDiff(
        runs=(str(left), str(right)),
        ids=(first.id, second.id),
        states=(folders[0].state, folders[1].state),
        spec=tuple(sorted(_differences(first, second), key=lambda row: not matters(row))),
        environment=tuple(_rows(*map(_environment, folders), equal=False)),
        metrics=tuple(_rows(*map(_numbers, folders), equal=True)),
    )


def matters(row: Row) -> bool:
    """Whether a node of an experiment can change a result."""
    return row.name.split(".")[0] not in NOT_IDENTITY


def show_diff(console: Console, found: RunDiff) -> None:
    """Print two runs side by side."""
    same = found.ids[0] == found.ids[1]
    console.print("The same experiment." if same else "Different experiments.", style="bold")
    for title, rows in (("spec", found.spec), ("environment", found.environment)):
        if rows:
            console.print(_table(title, found, rows))
        elif title == "environment" or not same:
            console.print(f"{title}: no difference", style="dim")
    if found.metrics:
        console.print(_table("results", found, found.metrics, numbers=True))


def _experiment(directory: RunDirectory) -> Experiment:
    if not directory.experiment.exists():
        raise InputError(f"{directory.path} is no run directory: it has no experiment.yaml")
    return load_experiment(directory.experiment)


def _differences(left: Any, right: Any, path: tuple[str, ...] = ()) -> Iterator[Row]:
    """Go down as long as both are nodes of one kind."""
    if isinstance(left, Spec) and type(left) is type(right):
        for name in type(left).model_fields:
            yield from _differences(getattr(left, name), getattr(right, name), (*path, name))
    elif left != right:
        yield Row(".".join(path), _plain(left), _plain(right))


def _plain(value: Any) -> Any:
    """A node with its kind and what is not as by default."""
    if not isinstance(value, Spec):
        return list(value) if isinstance(value, tuple) else value
    kind = {"kind": value.kind} if "kind" in type(value).model_fields else {}  # pyright: ignore[reportAttributeAccessIssue]
    return kind | value.model_dump(mode="json", exclude_defaults=True)


def _environment(directory: RunDirectory) -> dict[str, Any]:
    attempt = last_attempt(directory)
    return {**attempt.versions, **facts_of(attempt)}


def _numbers(directory: RunDirectory) -> dict[str, Any]:
    result = _result(directory)
    if result is None:
        return {}
    last = {f"{name} (last epoch)": value for name, value in result.last.metrics.items()}
    best = {f"{name} (best epoch)": value for name, value in result.best.metrics.items()}
    return {**result.metrics, **last, **best, **{name: getattr(result, name) for name in MEASURED}}


def _result(directory: RunDirectory) -> Result | None:
    return read_result(directory) if directory.state == "finished" else None


def _rows(left: Mapping[str, Any], right: Mapping[str, Any], *, equal: bool) -> Iterator[Row]:
    for name in dict.fromkeys([*left, *right]):
        row = Row(name, left.get(name), right.get(name))
        if equal or row.left != row.right:
            yield row


def _table(title: str, found: RunDiff, rows: Iterable[Row], *, numbers: bool = False) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(title, overflow="fold")
    for name, state in zip(_names(found), found.states, strict=True):
        head = Text.assemble(name, "\n", (state, "dim"))
        table.add_column(head, overflow="fold", justify="right" if numbers else "left")
    if numbers:
        table.add_column("difference", justify="right", no_wrap=True)
    for row in rows:
        nothing = "null" if title == "spec" else NOTHING
        texts = [row.name, *(_shown(value, nothing) for value in (row.left, row.right))]
        texts += [_change(row)] if numbers else []
        faint = title == "spec" and not matters(row)
        table.add_row(*map(Text, texts), style="dim" if faint else "")
    return table


def _names(found: RunDiff) -> tuple[str, str]:
    left, right = (Path(run).absolute().name for run in found.runs)
    return (left, right) if left != right else found.runs


def _shown(value: Any, nothing: str) -> str:
    if value is None:
        return nothing
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _change(row: Row) -> str:
    if row.left is None or row.right is None:
        return NOTHING
    change = row.right - row.left
    if change == 0 or not math.isfinite(change):
        return "0" if change == 0 else NOTHING
    text = f"{change:+d}" if isinstance(change, int) else f"{change:+.4g}"
    return text.replace("-", MINUS)
