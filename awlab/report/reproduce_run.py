"""A run beside itself, made again: does the same experiment give the same numbers?

On a CPU with as many threads it gives the same bits. On a GPU, or with other versions, training is
chaotic: what differs then differs from the first epochs on, and only more seeds tell whether it
matters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from awlab.record.record import Epoch, Result, read_epochs, read_result
from awlab.record.run_directory import RunDirectory
from awlab.report.diff import Row, diff
from awlab.report.provenance import last_attempt
from awlab.report.reproduce import STYLES, Agreement
from awlab.report.wording import MINUS, NOTHING
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.spec.load import load_experiment

AGAIN = ".reproduced"
"""Folder beside the runs that takes those that are made again."""
PACE = "images_per_second"
VOLATILE = ("started", "command")


@dataclass(frozen=True)
class MetricAgain:
    """A number of a run, and that of the run made again; None before it is."""

    name: str
    first: float
    again: float | None

    @property
    def agreement(self) -> Agreement:
        """Whether both are equal, to the bit."""
        if self.again is None:
            return Agreement.NOT_RUN
        return Agreement.MATCHES if repr(self.first) == repr(self.again) else Agreement.DIFFERS


@dataclass(frozen=True)
class RunAgain:
    """A run and its repetition.

    Attributes:
        runs: Their folders; the second need not exist yet.
        metrics: On the test set, and of the last validation.
        parted: The first epoch, counted from 0, of which a recorded number differs; None where
            none does.
        epochs: How many the first run was trained.
        environment: What differs in versions, code and devices.
    """

    runs: tuple[str, str]
    metrics: Sequence[MetricAgain]
    parted: int | None
    epochs: int
    environment: Sequence[Row]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        rows = [asdict(one) | {"agreement": one.agreement} for one in self.metrics]
        return asdict(self) | {"metrics": rows}


def again(folder: Path) -> Experiment:
    """The experiment of a finished run, to be made again beside it.

    It has no W&B run, because its id is that of the first one's, and explains nothing.

    Raises:
        InputError: When the folder holds no run that is finished.
    """
    directory = RunDirectory(folder)
    if not directory.experiment.is_file():
        raise InputError(f"{folder} is not a run directory: it has no {directory.experiment.name}")
    if directory.state != "finished":
        raise InputError(f"{folder} is {directory.state}: only a finished run can be reproduced")
    first = load_experiment(directory.experiment)
    changes = {"root": str(folder.parent / AGAIN), "wandb": "disabled", "gradcam_images": 0}
    return first.model_copy(update={"runtime": first.runtime.model_copy(update=changes)})


def threads_of(folder: Path) -> int | None:
    """Processor threads that a run was computed with; None where it left no word."""
    return last_attempt(RunDirectory(folder)).threads


def reproduce_run(folder: Path) -> RunAgain:
    """Set a finished run beside its repetition, as far as there is one.

    Raises:
        InputError: When the folder holds no run that is finished, or one of both is damaged.
    """
    first, second = RunDirectory(folder), RunDirectory.of(again(folder))
    result = read_result(first)
    repeated = read_result(second) if second.state == "finished" else None
    return RunAgain(
        runs=(str(first.path), str(second.path)),
        metrics=_metrics(result, repeated),
        parted=None if repeated is None else _parted(first, second),
        epochs=result.epochs,
        environment=_environment(first, second) if repeated else (),
    )


def show_run_again(console: Console, found: RunAgain) -> None:
    """Print what agrees and what does not."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("metric", "first", "again", ""):
        table.add_column(title, justify="right" if title in ("first", "again") else "left")
    for one in found.metrics:
        numbers = [NOTHING if x is None else f"{x:.6g}" for x in (one.first, one.again)]
        style = STYLES.get(one.agreement, "yellow")
        texts = [text.replace("-", MINUS) for text in numbers]
        table.add_row(Text(one.name), *texts, Text(one.agreement, style=style))
    console.print(table)
    if found.parted is not None:
        console.print(f"they part in epoch {found.parted + 1} of {found.epochs}")
    for row in found.environment:
        console.print(Text(f"{row.name}: {row.left or NOTHING}, again {row.right or NOTHING}"))


def _metrics(first: Result, repeated: Result | None) -> list[MetricAgain]:
    ours = _numbers(first)
    theirs = _numbers(repeated) if repeated else {}
    return [MetricAgain(name, value, theirs.get(name)) for name, value in ours.items()]


def _numbers(result: Result) -> Mapping[str, float]:
    return {**result.metrics, **result.last.metrics}


def _parted(first: RunDirectory, second: RunDirectory) -> int | None:
    ours, theirs = (  # as texts, so that NaN equals NaN
        {epoch.epoch: repr(_learned(epoch)) for epoch in read_epochs(directory)}
        for directory in (first, second)
    )
    epochs = sorted(ours.keys() | theirs.keys())
    return next((epoch for epoch in epochs if ours.get(epoch) != theirs.get(epoch)), None)


def _learned(epoch: Epoch) -> list[tuple[str, float]]:
    """What an epoch brought, without how fast it went."""
    return sorted((name, x) for name, x in epoch.metrics.items() if not name.endswith(PACE))


def _environment(first: RunDirectory, second: RunDirectory) -> tuple[Row, ...]:
    rows = diff(first.path, second.path).environment
    return tuple(row for row in rows if row.name not in VOLATILE)
