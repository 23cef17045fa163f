"""Execute what is missing of a plan."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from awlab.execute.backend import Backend
from awlab.execute.outcome import Outcome, failure_of
from awlab.execute.pool import Ended, Event, Pool, Started
from awlab.execute.smoke import try_out, untried
from awlab.execute.stop import StopRequests
from awlab.plan import Plan, Run
from awlab.record.claim import living_holder
from awlab.record.study_directory import StudyDirectory
from awlab.spec.errors import InputError


class View(Protocol):
    """Is told what happens."""

    def say(self, doing: str) -> None:
        """Something is being done besides the runs; nothing, when it is done."""
        ...

    def started(self, identity: str) -> None:
        """An attempt at a run began."""
        ...

    def ended(self, identity: str, outcome: str, *, again: bool, message: str = "") -> None:
        """An attempt at a run ended; it may be started again."""
        ...

    def stopping(self) -> None:
        """The runs were asked to end."""
        ...

    def refresh(self) -> None:
        """A moment passed."""
        ...


@dataclass(frozen=True)
class Study:
    """A plan that is executed.

    Attributes:
        plan: What there is to do.
        backend: Where the runs are executed.
        stop: Tells when to end early: no run is begun any more, and those that are being executed
            write a checkpoint.
        retries: See `Pool`.
        fail_fast: See `Pool`.
        waits: See `Pool`.
        tries: How many runs, from the first, are tried beforehand; None for all.
    """

    plan: Plan
    backend: Backend
    stop: StopRequests
    retries: int = 1
    fail_fast: bool = False
    waits: bool = True
    tries: int | None = None

    def execute(self, runs: Sequence[Run], view: View) -> dict[str, Outcome]:
        """Try what nobody has tried, execute runs, and tell how each ended.

        Args:
            runs: Of the plan, in this order.
            view: Is told what happens.

        Returns:
            The last outcome of each run that ended, by id.

        Raises:
            InputError: When an experiment cannot be run as it is.
            KeyboardInterrupt: On a second SIGINT, when all children are dead.
        """
        outcomes = self._try_out(runs[: self.tries], view)
        if self.fail_fast and outcomes:
            return outcomes
        left = [run for run in runs if run.id not in outcomes]
        return outcomes | self._execute(left, view)

    def _try_out(self, runs: Sequence[Run], view: View) -> dict[str, Outcome]:
        """Record the runs that would fail within two steps as failed."""
        groups = untried(self.plan, runs)
        log = StudyDirectory.of(self.plan.ablation).log
        outcomes: dict[str, Outcome] = {}
        view.say(_trying(0, len(groups)))
        for done, tried in enumerate(try_out(groups, self.backend, log, self.stop), start=1):
            view.say(_trying(done, len(groups)))
            if tried.failure is not None:
                outcomes |= _record(tried.runs, tried.failure, tried.story, view)
        view.say("")
        return outcomes

    def _execute(self, runs: Sequence[Run], view: View) -> dict[str, Outcome]:
        stalled = self.plan.ablation.resources.stalled_minutes
        pool = Pool(
            self.backend.devices,
            self.backend.start,
            retries=self.retries,
            fail_fast=self.fail_fast,
            waits=self.waits,
            stalled_seconds=stalled and 60 * stalled,
        )
        outcomes: dict[str, Outcome] = {}
        if self.stop.code:
            return outcomes
        with closing(pool.execute([run.experiment for run in runs])) as events:
            try:
                for event in events:
                    if isinstance(event, Ended):
                        outcomes[event.experiment.id] = event.outcome
                    _tell(view, event)
                    if self.stop.code:
                        pool.stop()
                    if pool.stopping:
                        view.stopping()
            except KeyboardInterrupt:
                pool.kill()
                raise
        return outcomes


def _record(runs: Sequence[Run], failure: str, story: str, view: View) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for run in runs:
        if living_holder(run.path) is not None:
            continue  # Somebody else has begun it, and will see.
        outcome, message = Outcome.ERROR, ""
        try:
            run.directory.create(run.experiment)
            run.directory.fail(failure, f"in the smoke test: {story}")
            outcome = failure_of(run.directory)
        except (InputError, OSError) as error:
            message = str(error)
        outcomes[run.id] = outcome
        view.ended(run.id, outcome, again=False, message=message)
    return outcomes


def _tell(view: View, event: Event) -> None:
    if isinstance(event, Started):
        view.started(event.experiment.id)
    elif isinstance(event, Ended):
        view.ended(event.experiment.id, event.outcome, again=event.again, message=event.message)
    view.refresh()


def _trying(done: int, total: int) -> str:
    return f"smoke test: {done} of {total} architectures" if total else ""
