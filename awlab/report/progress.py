"""How far a run is, read from its files."""

import socket
from dataclasses import dataclass

from awlab.plan import Run
from awlab.record.claim import living_holder
from awlab.record.record import Epoch, best_of, metric_of, read_result, read_validations
from awlab.spec.errors import InputError
from awlab.spec.metrics import DECIDING, deciding_metric

DAMAGED = "damaged result"
DECIDING_OF_VALIDATION = frozenset(f"val/{name}" for name in DECIDING.values())


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        state: `finished`, `running`, `interrupted`, `failed` or `missing`.
        host: Of another machine that is executing it; empty for none.
        failure: Class of what ended the last attempt.
        value: The metric of the study where the run is finished; else the best `val/top1_error`,
            or of a detector `val/map`, so far.
        epochs: That are validated.
        fraction: Of the epochs.
    """

    state: str
    host: str = ""
    failure: str = ""
    value: float | None = None
    epochs: int = 0
    fraction: float = 0.0


def progress_of(run: Run, metric: str) -> Progress:
    """Read how far a run is.

    Args:
        run: Of a plan.
        metric: Of the study.
    """
    directory = run.directory
    state = directory.state
    if state == "finished":
        return _of_finished(run, metric)
    if state == "missing":
        return Progress("missing")
    holder = living_holder(run.path)
    failure = ""
    if holder is not None:
        state = "running"
    elif state == "failed":
        failure = directory.failure or "error"
    host = holder.host if holder is not None and holder.host != socket.gethostname() else ""
    done = read_validations(directory)
    return Progress(
        state,
        host,
        failure,
        value=_best_so_far(done),
        epochs=len(done),
        fraction=len(done) / run.experiment.training.epochs,
    )


def _best_so_far(done: list[Epoch]) -> float | None:
    measured = [epoch for epoch in done if DECIDING_OF_VALIDATION & epoch.metrics.keys()]
    if not measured:
        return None
    best = best_of(measured).metrics
    return best[deciding_metric(best, "val")]


def _of_finished(run: Run, metric: str) -> Progress:
    try:
        value = metric_of(read_result(run.directory), metric)
    except (InputError, OSError):
        return Progress("failed", failure=DAMAGED)
    return Progress("finished", value=value, epochs=run.experiment.training.epochs, fraction=1.0)
