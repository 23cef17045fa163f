"""The view of a study while it is executed: cells by seeds, what each run is doing, time left."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from awlab.plan import Plan, Run
from awlab.record.record import best_of, read_result, read_validations
from awlab.spec.errors import InputError

REFRESH_SECONDS = 0.5
TICK, CROSS, WAITING, PAUSED = "\u2713", "\u2717", "\u00b7", "\u23f8"


@dataclass
class _Progress:
    """What is known of one run.

    Attributes:
        state: Of its directory, or `running`, `elsewhere`.
        text: After the sign: an error, an epoch, a class of failure.
        began: When the attempt that is running began, seconds.
    """

    state: str
    text: str = ""
    began: float = 0.0


class StudyView:
    """Shows a study on a terminal as one picture, elsewhere as one line per event.

    Use as a context manager; tell it what happens.

    Args:
        plan: The study.
        todo: Ids of the runs that will be executed.
        console: Where to print.
        at_once: Runs that are executed at the same time, for the time left.
    """

    def __init__(self, plan: Plan, todo: Iterable[str], console: Console, at_once: int = 1) -> None:
        self._plan = plan
        self._todo = list(todo)
        self._console = console
        self._at_once = at_once
        self._runs = {run.id: run for run in plan.runs}
        self._progress = {run.id: _stored(run) for run in plan.runs}
        self._begin = time.monotonic()
        self._seconds: list[float] = []
        self._drawn = 0.0
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> "StudyView":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.update(self.picture(), refresh=True)
            self._live.stop()

    def started(self, identity: str) -> None:
        """An attempt at a run began."""
        self._progress[identity] = _Progress("running", began=time.monotonic())
        self._say(identity, "started")

    def ended(self, identity: str, outcome: str, *, again: bool) -> None:
        """An attempt at a run ended.

        Args:
            identity: Of the experiment.
            outcome: How it ended, in a word or two.
            again: Whether it will be started again.
        """
        before = self._progress[identity]
        if outcome == "finished":
            if before.began:
                self._seconds.append(time.monotonic() - before.began)
            self._progress[identity] = _finished(self._runs[identity])
        elif outcome == "claimed":
            self._progress[identity] = _Progress("elsewhere")
        elif again:
            self._progress[identity] = _Progress("interrupted", outcome)
        else:
            self._progress[identity] = _Progress("failed", outcome)
        text = self._progress[identity].text
        self._say(identity, f"{outcome}{', goes on later' if again else ''}", text)
        if self._progress[identity].state == "failed":
            self._explain(identity)

    def refresh(self) -> None:
        """Redraw, when it is time."""
        if not self._live or time.monotonic() - self._drawn < REFRESH_SECONDS:
            return
        for identity, progress in self._progress.items():
            if progress.state == "running":
                progress.text = _epochs(self._runs[identity])
        self._live.update(self.picture(), refresh=True)
        self._drawn = time.monotonic()

    def _say(self, identity: str, what: str, text: str = "") -> None:
        if self._live:
            return
        run = self._runs[identity]
        done, total = self._count()
        detail = f" {text}" if text and text != what else ""
        self._console.print(
            f"[{done}/{total}] {run.cell} seed {run.seed}: {what}{detail}", markup=False
        )

    def _explain(self, identity: str) -> None:
        """Show the end of the error at once: the rest goes on, and hours may pass."""
        run = self._runs[identity]
        directory = run.directory
        source = directory.error if directory.error.exists() else directory.log
        try:
            lines = source.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        except OSError:
            lines = []
        self._console.print(f"{run.cell} seed {run.seed} failed: {source}", style="red")
        for line in lines[-6:]:
            self._console.print(f"    {line}", style="dim", markup=False)

    def _count(self) -> tuple[int, int]:
        over = sum(self._progress[i].state in ("finished", "failed") for i in self._todo)
        return over, len(self._todo)

    def picture(self) -> RenderableType:
        """The study as it stands."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("cell", overflow="fold")
        for seed in self._plan.ablation.seed_values:
            table.add_column(f"seed {seed}", no_wrap=True)
        for cell in self._plan.cells:
            if cell.excluded is None and cell.same_as is None:
                marks = (self._mark(self._progress[run.id]) for run in cell.runs)
                table.add_row(Text(cell.name), *marks)
        return Group(table, self._footer())

    @staticmethod
    def _mark(progress: _Progress) -> Text:
        sign, style = {
            "finished": (TICK, "green"),
            "failed": (CROSS, "red"),
            "running": ("\u25b6", "cyan"),
            "elsewhere": ("\u25b6", "magenta"),
            "interrupted": (PAUSED, "yellow"),
        }.get(progress.state, (WAITING, "dim"))
        text = "elsewhere" if progress.state == "elsewhere" else progress.text
        return Text(f"{sign} {text}".rstrip(), style=style)

    def _footer(self) -> Text:
        done, total = self._count()
        parts = [f"{done} of {total} runs", f"{_clock(time.monotonic() - self._begin)} elapsed"]
        if self._seconds and done < total:
            mean = sum(self._seconds) / len(self._seconds)
            parts.append(f"about {_clock(mean * -(-(total - done) // self._at_once))} left")
        return Text(" \u00b7 ".join(parts), style="dim")


def _stored(run: Run) -> _Progress:
    if run.state == "finished":
        return _finished(run)
    return _Progress(run.state, run.directory.failure or "")


def _finished(run: Run) -> _Progress:
    try:
        error = read_result(run.directory).metrics["test/top1_error"]
    except (InputError, KeyError):
        return _Progress("failed", "unreadable result")
    return _Progress("finished", f"{error:.2f} %")


def _epochs(run: Run) -> str:
    done = read_validations(run.directory)
    text = f"{len(done)}/{run.experiment.training.epochs}"
    return f"{text} {best_of(done).metrics['val/top1_error']:.1f} %" if done else text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
