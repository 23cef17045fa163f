"""Try every distinct architecture of a study before its runs begin."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from awlab.execute.backend import Backend
from awlab.execute.call import Call, DeadChildError
from awlab.execute.devices import Share
from awlab.execute.outcome import Outcome
from awlab.execute.stop import StopRequests
from awlab.plan import Plan, Run
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment

TARGET = "awlab.train.smoke:smoke"
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Tried:
    """What came of trying an architecture.

    Attributes:
        runs: That have it.
        failure: Its class; None when all is well.
        story: Of the failure, for `error.txt`.
    """

    runs: tuple[Run, ...]
    failure: str | None = None
    story: str = ""


def untried(plan: Plan, runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """Runs by their architecture, without those whose architecture a finished run has."""
    proven = {_architecture(run.experiment) for run in plan.runs if run.state == "finished"}
    alike: dict[str, list[Run]] = {}
    for run in runs:
        architecture = _architecture(run.experiment)
        if architecture not in proven:
            alike.setdefault(architecture, []).append(run)
    return [tuple(group) for group in alike.values()]


def try_out(
    groups: Sequence[tuple[Run, ...]], backend: Backend, log: Path, stop: StopRequests
) -> Iterator[Tried]:
    """Train two steps of one run of each group, as many at once as the devices allow.

    Args:
        groups: See `untried`.
        backend: Where to; each try takes one of the devices that a run gets.
        log: Takes what they print.
        stop: Tells when to end early.

    Raises:
        InputError: When an experiment cannot be run as it is.
    """
    waiting, devices = list(groups), backend.devices
    running: list[tuple[tuple[Run, ...], Share, Call]] = []
    try:
        while (waiting or running) and not stop.code:
            while waiting and (share := devices.lend()):
                group = waiting.pop(0)
                running.append((group, share, _begin(group[0].experiment, backend, share, log)))
            for attempt in [attempt for attempt in running if attempt[2].done()]:
                running.remove(attempt)
                group, share, call = attempt
                devices.take_back(share)
                yield _tried(group, call)
            time.sleep(POLL_SECONDS)
    finally:
        for _, share, call in running:
            devices.take_back(share)
            call.kill()


def _begin(experiment: Experiment, backend: Backend, share: Share, log: Path) -> Call:
    accelerator = "gpu" if share.devices else "cpu"
    runtime = experiment.runtime.model_copy(update={"accelerator": accelerator})
    arguments = (
        experiment.model_copy(update={"runtime": runtime}),
        backend.devices.devices_per_run,
    )
    one = Share(share.devices[:1], share.threads)
    return backend.call(TARGET, arguments, one, log)


def _tried(group: tuple[Run, ...], call: Call) -> Tried:
    try:
        found = call.result()
    except DeadChildError as error:
        return Tried(group, Outcome.KILLED, str(error))
    except InputError as error:
        raise InputError(f"{error} (cell {group[0].cell})") from error
    return Tried(group) if found is None else Tried(group, *found)


def _architecture(experiment: Experiment) -> str:
    """Equal for experiments whose first steps succeed or fail alike."""
    training = experiment.training
    meaning = {
        "model": experiment.model.model_dump(mode="json"),
        "data": experiment.data.model_dump(mode="json"),
        "batch_size": training.batch_size,
        "precision": training.precision,
        "optimizer": vars(training.optimizer)["kind"],
        "ema": training.ema is not None,
    }
    return json.dumps(meaning, sort_keys=True)
