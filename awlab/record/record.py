"""What a run left behind, read back."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from awlab.record.run_directory import RunDirectory, write_atomically
from awlab.spec.errors import InputError
from awlab.spec.metrics import deciding_metric, improves_on


def _number(value: Any) -> Any:
    """What is not finite is written as null, which JSON has a word for."""
    return math.nan if value is None else value


Metrics = dict[str, Annotated[float, BeforeValidator(_number)]]
"""Numbers by name; errors and precisions are percent."""


@dataclass(frozen=True)
class Epoch:
    """The validation of one epoch.

    Attributes:
        epoch: Counted from 0.
        metrics: By name: `val/loss`, `val/top1_error`, ...
    """

    epoch: int
    metrics: Metrics


@dataclass(frozen=True)
class Result:
    """What a finished run is worth: the content of `result.json`.

    Attributes:
        id: Of the experiment.
        name: Of the experiment.
        metrics: On the test set: `test/loss`, `test/top1_error`, ... of a classifier, `test/map`,
            ... of a detector. Errors and precisions are percent.
        tested_epoch: Epoch whose weights the test set saw, counted from 0.
        last: Validation of the last epoch.
        best: Validation of the best epoch, as `best_of` says.
        epochs: Passes over the training images.
        steps: Optimizer steps.
        parameters: Trained numbers of the network.
        gmacs: Billions of multiply-accumulates of one image, in the paper's convention.
        seconds: Time spent training and validating, over all attempts.
        images_per_second: Training images over the time spent training on them.
        peak_memory_bytes: Of the device on a GPU, of the process on a CPU.
        attempts: How often the run was started.
        versions: Of the libraries of the last attempt.
    """

    id: str
    name: str
    metrics: Metrics
    tested_epoch: int
    last: Epoch
    best: Epoch
    epochs: int
    steps: int
    parameters: int
    gmacs: float
    seconds: float
    images_per_second: float
    peak_memory_bytes: int
    attempts: int
    versions: dict[str, str] = field(default_factory=dict[str, str])

    def to_dict(self) -> dict[str, Any]:
        """Plain types, as in `result.json`."""
        return asdict(self)


_RESULT = TypeAdapter(Result)


def read_result(directory: RunDirectory) -> Result:
    """Read `result.json`.

    Raises:
        InputError: When it is not what a finished run writes.
    """
    try:
        return _RESULT.validate_json(directory.result.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{directory.result} is not the result of a run "
            f"({place}{': ' if place else ''}{first['msg']}); remove it to finish the run again"
        ) from error


def write_result(directory: RunDirectory, result: Result) -> None:
    """Write `result.json`, which makes the run a finished one."""
    write_atomically(directory.result, json.dumps(result.to_dict(), indent=2) + "\n")


def metric_of(result: Result, name: str) -> float | None:
    """A metric of a finished run: `test/...`, or `val/...` of its last epoch."""
    return {**result.last.metrics, **result.metrics}.get(name)


def read_metrics(directory: RunDirectory) -> list[dict[str, Any]]:
    """Rows of `metrics.jsonl`: `epoch`, `step`, `attempt` and metrics, one row per step, in order.

    A resumed run repeats steps that were lost with the attempt before: the last attempt wins. A
    line that was cut off while it was written is left out.
    """
    rows: dict[int, dict[str, Any]] = {}
    for row in _lines(directory):
        rows.setdefault(row["step"], {}).update(row)
    return [rows[step] for step in sorted(rows)]


def read_validations(directory: RunDirectory) -> list[Epoch]:
    """The validations of a run by epoch."""
    validations = [
        Epoch(row["epoch"], {name: _number(row[name]) for name in row if name.startswith("val/")})
        for row in read_metrics(directory)
        if any(name.startswith("val/") for name in row)
    ]
    return sorted(validations, key=lambda validation: validation.epoch)


def read_epochs(directory: RunDirectory) -> list[Epoch]:
    """All metrics of a run by epoch, `train/loss` as well as `val/loss`.

    Rows within epochs are skipped unread, so that the runs of a large study take a second.
    """
    epochs: dict[int, Metrics] = {}
    for row in _lines(directory, without='"train/loss_step"'):
        metrics = {name: _number(row[name]) for name in row if "/" in name}
        epochs.setdefault(row["epoch"], {}).update(metrics)
    return [Epoch(epoch, epochs[epoch]) for epoch in sorted(epochs)]


def best_of(validations: list[Epoch]) -> Epoch:
    """The epoch with the lowest `val/top1_error`, or the highest `val/map`; the first of equals."""
    best, *others = validations
    metric = deciding_metric(best.metrics, "val")
    for other in others:
        if improves_on(other.metrics[metric], best.metrics[metric], metric):
            best = other
    return best


def _lines(directory: RunDirectory, *, without: str | None = None) -> list[dict[str, Any]]:
    try:
        text = directory.metrics.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = (line for line in text.splitlines() if without is None or without not in line)
    return [row for line in lines if (row := _row(line)) is not None]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row: Any = json.loads(line)
        return row if isinstance(row["step"], int) and isinstance(row["epoch"], int) else None
    except (ValueError, TypeError, KeyError):
        return None
