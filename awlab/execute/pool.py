"""Run many experiments, as many at once as the devices allow."""

import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from awlab.execute.child import STACKS, Child
from awlab.execute.devices import Lender, Share
from awlab.execute.exit_codes import BAD_INPUT
from awlab.execute.outcome import OF_THE_RUN, Outcome, failure_of, outcome_of
from awlab.record.claim import living_holder
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment

POLL_SECONDS = 0.02
ELSEWHERE_SECONDS = 1.0
GRACE_SECONDS = 60.0
"""Time that a child has to write a checkpoint after it was asked to end."""

LOOK_SECONDS = 1.0
"""Time between two looks for signs of life."""
STACK_SECONDS = 2.0
"""Time that a child without signs of life has to tell where it hangs."""

ROOM_BYTES = 2**16
"""Free space below which a disk counts as full when a run has died without a word."""

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
        again: Whether the run will be started again, or waited for.
        message: What is wrong, where the files of the run do not say it.
    """

    experiment: Experiment
    outcome: Outcome
    again: bool = False
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether the run has no result and will not be started again."""
        return self.outcome not in (Outcome.FINISHED, Outcome.CLAIMED) and not self.again


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
    sign: tuple[int, ...] = ()
    """The last sign of life; see `_signs_of_life`."""
    alive_at: float = field(default_factory=time.monotonic)
    looked_at: float = 0.0
    asked_at: float | None = None
    """When it was asked where it hangs; None while it does not."""


@dataclass(frozen=True)
class _Elsewhere:
    experiment: Experiment
    directory: RunDirectory


@dataclass
class Pool:
    """Executes experiments, one child process (group) each.

    Attributes:
        devices: Lent to the runs.
        start: Starts a child.
        retries: How often a run is started again after it was killed, or preempted without
            progress. A preempted run that made progress is always started again.
        fail_fast: End the others when a run fails.
        waits: For the runs that other processes execute, to take over those that they leave.
        stalled_seconds: After so long without a row of metrics, a line of the log or a checkpoint a
            run is killed, with the stacks of its threads in its log; None for never.
    """

    devices: Lender
    start: Start
    retries: int = 2
    fail_fast: bool = False
    waits: bool = True
    stalled_seconds: float | None = None
    _waiting: deque[Experiment] = field(default_factory=deque[Experiment])
    _running: list[_Attempt] = field(default_factory=list[_Attempt])
    _elsewhere: dict[str, _Elsewhere] = field(default_factory=dict[str, _Elsewhere])
    _retried: dict[str, int] = field(default_factory=dict[str, int])
    _looked_elsewhere: float = 0.0
    _kill_at: float | None = None
    """When children that were asked to end are killed; None before they are asked."""

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._kill_at is not None

    def execute(self, experiments: Sequence[Experiment]) -> Generator[Event]:
        """Run them in this order; yields what happens, and `Waited` while nothing does.

        However it is left, no child lives on. After `stop` it ends when the children have. On an
        exception they are killed at once if it is an interrupt, else asked to end as by `stop`.
        """
        self._waiting.extend(experiments)
        try:
            while self._running or (not self.stopping and (self._waiting or self._elsewhere)):
                yield from self._begin()
                yield from self._collect()
                yield from self._look_elsewhere()
                yield Waited()
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            self.kill()
            raise
        finally:
            self._end_all()

    def stop(self) -> None:
        """Begin nothing more; ask the children to write a checkpoint and end, in a minute."""
        if self.stopping:
            return
        self._kill_at = time.monotonic() + GRACE_SECONDS
        for attempt in self._running:
            attempt.child.send(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the children at once; what they did since their last checkpoint is lost."""
        for attempt in self._running:
            attempt.child.send(signal.SIGKILL)

    def _begin(self) -> Iterator[Event]:
        while self._waiting and not self.stopping and (share := self.devices.lend()):
            event = self._try_to_begin(self._waiting.popleft(), share)
            if not isinstance(event, Started):
                self.devices.take_back(share)
            yield from self._noted(event)

    def _try_to_begin(self, experiment: Experiment, share: Share) -> Started | Ended:
        try:
            directory = RunDirectory.of(experiment)
            settled = self._settled(experiment, directory)
            if settled is not None:
                return settled
            self._running.append(self._attempt(experiment, directory, share))
        except (InputError, OSError) as error:
            return Ended(experiment, Outcome.ERROR, message=str(error))
        return Started(experiment, share)

    def _settled(self, experiment: Experiment, directory: RunDirectory) -> Ended | None:
        """What becomes or became of a run in another process, if it need not be started here."""
        if living_holder(directory.path) is not None:
            return self._left_to_others(experiment, directory)
        if directory.state == "finished":
            return Ended(experiment, Outcome.FINISHED)
        if directory.state == "failed" and (failure := failure_of(directory)) in OF_THE_RUN:
            return Ended(experiment, failure)
        return None

    def _left_to_others(self, experiment: Experiment, directory: RunDirectory) -> Ended:
        if self.waits:
            self._elsewhere[experiment.id] = _Elsewhere(experiment, directory)
        return Ended(experiment, Outcome.CLAIMED, again=self.waits)

    def _attempt(self, experiment: Experiment, directory: RunDirectory, share: Share) -> _Attempt:
        directory.create(experiment)
        arguments = ["run", str(directory.experiment), *self._overrides(experiment, share)]
        progress = _progress(directory)
        child = self.start(arguments, share, directory.log)
        return _Attempt(experiment, directory, share, child, progress)

    def _overrides(self, experiment: Experiment, share: Share) -> list[str]:
        """The stored experiment may have been made elsewhere: the runtime of the plan counts."""
        runtime = experiment.runtime.model_copy(
            update={
                "devices": self.devices.devices_per_run,
                "accelerator": "gpu" if share.devices else "cpu",
            }
        )
        return [f"runtime={runtime.model_dump_json()}"]

    def _collect(self) -> Iterator[Event]:
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self.kill()
        for attempt in list(self._running):
            code = attempt.child.poll()
            if code is None:
                self._look_for_life(attempt)
                continue
            self._running.remove(attempt)
            self.devices.take_back(attempt.share)
            attempt.child.send(signal.SIGKILL)  # Loader processes and ranks that it left behind.
            yield from self._noted(self._ended(attempt, code))

    def _look_for_life(self, attempt: _Attempt) -> None:
        now = time.monotonic()
        if self.stalled_seconds is None or now - attempt.looked_at < LOOK_SECONDS:
            return
        attempt.looked_at = now
        if attempt.asked_at is not None:
            if now - attempt.asked_at > STACK_SECONDS:
                attempt.child.send(signal.SIGKILL)
            return
        sign = _signs_of_life(attempt.directory)
        if sign != attempt.sign:
            attempt.sign, attempt.alive_at = sign, now
        elif now - attempt.alive_at > self.stalled_seconds:
            attempt.asked_at = now
            attempt.child.send(STACKS)

    def _ended(self, attempt: _Attempt, code: int) -> Ended:
        experiment, outcome = attempt.experiment, outcome_of(attempt.directory, code)
        if attempt.asked_at is not None and outcome is not Outcome.FINISHED:
            outcome = Outcome.KILLED
        if outcome is Outcome.CLAIMED:
            return self._left_to_others(experiment, attempt.directory)
        if outcome is Outcome.ERROR and not attempt.directory.error.exists():
            outcome = _explained(attempt.directory, code)
        again = not self.stopping and self._may_try_again(attempt, outcome)
        if again:
            self._waiting.append(experiment)
        return Ended(experiment, outcome, again=again, message=self._told(attempt))

    def _told(self, attempt: _Attempt) -> str:
        if attempt.asked_at is None:
            return ""
        return (
            f"killed after {self.stalled_seconds:.0f} s without a sign of life; the stacks of its "
            f"threads are in {attempt.directory.log}"
        )

    def _may_try_again(self, attempt: _Attempt, outcome: Outcome) -> bool:
        if outcome not in (Outcome.PREEMPTED, Outcome.KILLED):
            return False
        if outcome is Outcome.PREEMPTED and _progress(attempt.directory) > attempt.progress:
            return True
        count = self._retried.get(attempt.experiment.id, 0) + 1
        self._retried[attempt.experiment.id] = count
        return count <= self.retries

    def _look_elsewhere(self) -> Iterator[Event]:
        if self.stopping or time.monotonic() - self._looked_elsewhere < ELSEWHERE_SECONDS:
            return
        self._looked_elsewhere = time.monotonic()
        for identity, other in list(self._elsewhere.items()):
            if living_holder(other.directory.path) is not None:
                continue
            del self._elsewhere[identity]
            settled = self._settled(other.experiment, other.directory)
            if settled is None:
                self._waiting.append(other.experiment)
            else:
                yield from self._noted(settled)

    def _noted(self, event: Started | Ended) -> Iterator[Event]:
        """Tell of an event, and stop on what makes it pointless to go on."""
        yield event
        if not isinstance(event, Ended) or not event.failed:
            return
        if self.fail_fast or event.outcome is Outcome.DISK_FULL:
            self.stop()

    def _end_all(self) -> None:
        """Leave no child behind when the loop was left in the middle."""
        self.stop()
        try:
            while self._running:
                for _ in self._collect():
                    pass
                time.sleep(POLL_SECONDS)
        finally:
            self.kill()
            self._running.clear()


def _progress(directory: RunDirectory) -> int:
    """Grows whenever a checkpoint is written."""
    try:
        return directory.last_checkpoint.stat().st_mtime_ns
    except OSError:
        return 0


def _signs_of_life(directory: RunDirectory) -> tuple[int, ...]:
    """Changes whenever a run writes something."""
    signs: list[int] = []
    for path in (directory.metrics, directory.log, directory.last_checkpoint):
        with suppress(OSError):
            signs.append(path.stat().st_mtime_ns)
    return tuple(signs)


def _explained(directory: RunDirectory, code: int) -> Outcome:
    """Find out why a child died without a word, and write it into `error.txt`."""
    with suppress(OSError):
        if shutil.disk_usage(directory.path).free < ROOM_BYTES:
            return Outcome.DISK_FULL
        if code != BAD_INPUT:  # Which does not tell against the run: its log says what to mend.
            how = f"died: {signal.strsignal(-code)}" if code < 0 else f"ended with code {code}"
            story = f"the process {how}, without a result; see {directory.log}"
            directory.fail(Outcome.ERROR, story)
    return Outcome.ERROR
