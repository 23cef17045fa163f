"""Run many experiments, as many at once as the devices allow."""

import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from awlab.execute.child import Child
from awlab.execute.devices import Devices, Share
from awlab.execute.outcome import Outcome, outcome_of
from awlab.record.claim import living_holder
from awlab.record.run_directory import RunDirectory
from awlab.spec.experiment import Experiment

POLL_SECONDS = 0.05
ELSEWHERE_SECONDS = 1.0
GRACE_SECONDS = 60.0
"""Time that a child has to write a checkpoint after it was asked to end."""

Start = Callable[[Sequence[str], Share, Path], Child]


@dataclass(frozen=True)
class Started:
    """An attempt at a run began."""

    experiment: Experiment
    share: Share


@dataclass(frozen=True)
class Ended:
    """An attempt at a run ended.

    Attributes:
        experiment: Of the run.
        outcome: How it ended; `CLAIMED` when another process is executing the run.
        again: Whether the run will be started again.
    """

    experiment: Experiment
    outcome: Outcome
    again: bool = False

    @property
    def failed(self) -> bool:
        """Whether the run has no result and will not be started again."""
        return self.outcome is not Outcome.FINISHED and not self.again


@dataclass(frozen=True)
class Waited:
    """A moment passed: the time to redraw a view."""


Event = Started | Ended | Waited


@dataclass
class _Attempt:
    experiment: Experiment
    directory: RunDirectory
    share: Share
    child: Child
    progress: int


@dataclass
class Pool:
    """Executes experiments, one child process (group) each.

    Attributes:
        devices: Lent to the runs.
        start: Starts a child.
        retries: How often a run is started again after it was killed, or preempted without
            progress. A preempted run that made progress is always started again.
        fail_fast: End the others when a run fails.
    """

    devices: Devices
    start: Start
    retries: int = 2
    fail_fast: bool = False
    _waiting: deque[Experiment] = field(default_factory=deque[Experiment])
    _running: list[_Attempt] = field(default_factory=list[_Attempt])
    _elsewhere: list[Experiment] = field(default_factory=list[Experiment])
    _retried: dict[str, int] = field(default_factory=dict[str, int])
    _looked_elsewhere: float = 0.0

    def execute(self, experiments: Sequence[Experiment]) -> Generator[Event]:
        """Run them in this order; yields what happens, and `Waited` while nothing does.

        However it is left (the end, an exception, a generator that is closed), no child lives on:
        each is asked to write a checkpoint, and killed when that takes longer than `GRACE_SECONDS`
        or on a second interrupt.
        """
        self._waiting.extend(experiments)
        try:
            while self._waiting or self._running or self._elsewhere:
                yield from self._begin()
                for event in self._collect():
                    yield event
                    if self.fail_fast and event.failed:
                        return
                yield from self._look_elsewhere()
                yield Waited()
                time.sleep(POLL_SECONDS)
        finally:
            self._end_all()

    def _begin(self) -> Iterator[Event]:
        while self._waiting and (share := self.devices.lend()):
            experiment = self._waiting.popleft()
            directory = RunDirectory.of(experiment)
            if living_holder(directory.path) is not None:
                self.devices.take_back(share)
                self._elsewhere.append(experiment)
                yield Ended(experiment, Outcome.CLAIMED, again=True)
                continue
            self._running.append(self._attempt(experiment, directory, share))
            yield Started(experiment, share)

    def _attempt(self, experiment: Experiment, directory: RunDirectory, share: Share) -> _Attempt:
        directory.create(experiment)
        arguments = ["run", str(directory.experiment), *self._overrides(experiment, share)]
        child = self.start(arguments, share, directory.log)
        return _Attempt(experiment, directory, share, child, _progress(directory))

    def _overrides(self, experiment: Experiment, share: Share) -> list[str]:
        """The stored experiment may have been made elsewhere: the runtime of the plan counts."""
        runtime = experiment.runtime.model_copy(
            update={
                "devices": self.devices.devices_per_run,
                "accelerator": "gpu" if share.devices else "cpu",
            }
        )
        return [f"runtime={runtime.model_dump_json()}"]

    def _collect(self) -> Iterator[Ended]:
        for attempt in list(self._running):
            code = attempt.child.poll()
            if code is None:
                continue
            self._running.remove(attempt)
            self.devices.take_back(attempt.share)
            attempt.child.send(signal.SIGKILL)  # Loader processes and ranks that it left behind.
            yield self._ended(attempt, outcome_of(attempt.directory, code))

    def _ended(self, attempt: _Attempt, outcome: Outcome) -> Ended:
        experiment = attempt.experiment
        if outcome is Outcome.CLAIMED:
            self._elsewhere.append(experiment)
            return Ended(experiment, outcome, again=True)
        again = self._may_try_again(attempt, outcome)
        if again:
            self._waiting.append(experiment)
        return Ended(experiment, outcome, again=again)

    def _may_try_again(self, attempt: _Attempt, outcome: Outcome) -> bool:
        if outcome not in (Outcome.PREEMPTED, Outcome.KILLED):
            return False
        if outcome is Outcome.PREEMPTED and _progress(attempt.directory) > attempt.progress:
            return True
        count = self._retried[attempt.experiment.id] = (
            self._retried.get(attempt.experiment.id, 0) + 1
        )
        return count <= self.retries

    def _look_elsewhere(self) -> Iterator[Event]:
        if time.monotonic() - self._looked_elsewhere < ELSEWHERE_SECONDS:
            return
        self._looked_elsewhere = time.monotonic()
        for experiment in list(self._elsewhere):
            directory = RunDirectory.of(experiment)
            if living_holder(directory.path) is not None:
                continue
            self._elsewhere.remove(experiment)
            if directory.state == "finished":
                yield Ended(experiment, Outcome.FINISHED)
            elif directory.state == "failed":
                yield Ended(experiment, outcome_of(directory, 1))
            else:
                self._waiting.append(experiment)

    def _end_all(self) -> None:
        for attempt in self._running:
            attempt.child.send(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        try:
            while time.monotonic() < deadline and not all(
                self._has_ended(a) for a in self._running
            ):
                time.sleep(POLL_SECONDS)
        finally:
            for attempt in self._running:
                attempt.child.send(signal.SIGKILL)
            self._running.clear()

    @staticmethod
    def _has_ended(attempt: _Attempt) -> bool:
        return attempt.child.poll() is not None


def _progress(directory: RunDirectory) -> int:
    """Grows whenever a checkpoint is written."""
    try:
        return directory.last_checkpoint.stat().st_mtime_ns
    except OSError:
        return 0
