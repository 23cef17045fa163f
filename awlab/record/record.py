"""What a run left behind, read back."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from awlab.record.run_directory import RunDirectory, write_atomically
from awlab.spec.errors import InputError


@dataclass(frozen=True)
class Epoch:
    """The validation of one epoch.

    Attributes:
        epoch: Counted from 0.
        metrics: By name: `val/loss`, `val/top1_error`, ...
    """

    epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Result:
    """What a finished run is worth: the content of `result.json`.

    Attributes:
        id: Of the experiment.
        name: Of the experiment.
        metrics: On the test set: `test/loss`, `test/top1_error`, ... Errors are percent.
        tested_epoch: Epoch whose weights the test set saw, counted from 0.
        last: Validation of the last epoch.
        best: Validation of the epoch with the lowest `val/top1_error`; the first of equals.
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
    metrics: dict[str, float]
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


def read_result(directory: RunDirectory) -> Result:
    """Read `result.json`.

    Raises:
        InputError: When it is not what a finished run writes.
    """
    try:
        document = json.loads(directory.result.read_text(encoding="utf-8"))
        last, best = Epoch(**document.pop("last")), Epoch(**document.pop("best"))
        return Result(last=last, best=best, **document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{directory.result} is not the result of a run ({error}); remove it to finish the run "
            "again"
        ) from error


def write_result(directory: RunDirectory, result: Result) -> None:
    """Write `result.json`, which makes the run a finished one."""
    write_atomically(directory.result, json.dumps(result.to_dict(), indent=2) + "\n")


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
        Epoch(row["epoch"], {name: row[name] for name in row if name.startswith("val/")})
        for row in read_metrics(directory)
        if "val/loss" in row
    ]
    return sorted(validations, key=lambda validation: validation.epoch)


def best_of(validations: list[Epoch]) -> Epoch:
    """The epoch with the lowest `val/top1_error`; the first of equals."""
    return min(validations, key=lambda validation: validation.metrics["val/top1_error"])


def _lines(directory: RunDirectory) -> list[dict[str, Any]]:
    try:
        text = directory.metrics.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [row for line in text.splitlines() if (row := _row(line)) is not None]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row: Any = json.loads(line)
        return row if isinstance(row["step"], int) else None
    except (ValueError, TypeError, KeyError):
        return None
