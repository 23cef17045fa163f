"""The view of a study while it is executed: cells by seeds, what each run is doing, time left."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from awlab.plan import Plan, Run
from awlab.report.pace import Pace, clock
from awlab.report.picture import picture
from awlab.report.progress import Progress, progress_of
from awlab.report.signs import SIGNS

REFRESH_SECONDS = 0.5
MOST_RUNNING = 8
BAR = 14
TOLD = 12
"""Lines of a failure that are shown."""
TRACEBACK = "Traceback (most recent call last):"
OVER = ("finished", "failed")


class StudyView:
    """Shows a study on a terminal as one picture, elsewhere as one line per event.

    Use as a context manager; tell it what happens.

    Args:
        plan: The study.
        todo: The runs that will be executed.
        console: Where to print.
        at_once: Runs that are executed at the same time.
    """

    def __init__(self, plan: Plan, todo: Iterable[Run], console: Console, at_once: int = 1) -> None:
        self._plan = plan
        self._todo = list(todo)
        self._console = console
        self._metric = plan.ablation.metric.name
        self._runs = {run.id: run for run in plan.runs}
        self._progress = {run.id: progress_of(run, self._metric) for run in plan.runs}
        self._over: set[str] = set()
        self._mine: dict[str, float] = {}
        self._pace = Pace(at_once)
        self._begin = time.monotonic()
        self._drawn = 0.0
        self._doing = ""
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

    def say(self, doing: str) -> None:
        """Tell what is being done besides the runs; nothing, when it is done."""
        if doing and doing != self._doing and not self._live:
            self._print(doing)
        self._doing = doing
        self._drawn = 0.0

    def started(self, identity: str) -> None:
        """An attempt at a run began."""
        run, now = self._runs[identity], time.monotonic()
        fraction = self._progress[identity].fraction
        self._progress[identity] = replace(self._progress[identity], state="running", failure="")
        self._mine[identity] = now
        self._pace.began(run, fraction, now)
        self._tell(identity, "started" if fraction == 0 else "goes on")

    def ended(self, identity: str, outcome: str, *, again: bool, message: str = "") -> None:
        """An attempt at a run ended.

        Args:
            identity: Of the experiment.
            outcome: How it ended, in a word or two.
            again: Whether it will be started again, or is being executed elsewhere.
            message: What is wrong, where the files of the run do not say it.
        """
        run, now = self._runs[identity], time.monotonic()
        began = self._mine.pop(identity, now)
        self._pace.ended(run, now, finished=outcome == "finished")
        progress = progress_of(run, self._metric)
        failed = not again and outcome not in ("finished", "preempted", "interrupted", "claimed")
        if failed:
            progress = replace(progress, state="failed", failure=outcome)
        self._progress[identity] = progress
        if not again:
            self._over.add(identity)
        self._tell(identity, *_how(outcome, progress, now - began, again=again))
        if failed:
            self._explain(run, message)

    def stopping(self) -> None:
        """The runs were asked to end."""
        running = len(self._mine)
        self.say(
            f"ending: {_runs(running)} {'writes its' if running == 1 else 'write their'} "
            "checkpoint; Ctrl-C again kills at once"
            if running
            else ""
        )

    def refresh(self) -> None:
        """Look again and redraw, when it is time."""
        if self._live and time.monotonic() - self._drawn >= REFRESH_SECONDS:
            self.look()
            self._live.update(self.screen(), refresh=True)
            self._drawn = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether every run of the study is finished or has failed."""
        return all(progress.state in OVER for progress in self._progress.values())

    def picture(self) -> RenderableType:
        """The study as it stands, with as many lines as it takes."""
        return Group(self._picture(lines=None), self._states())

    def look(self) -> None:
        """Read how far the runs are."""
        for identity, progress in self._progress.items():
            if progress.state == "finished" or identity in self._over:
                continue
            found = progress_of(self._runs[identity], self._metric)
            if identity in self._mine:  # It may not have claimed its folder yet.
                found = replace(found, state="running", host="", failure="")
            self._progress[identity] = found
        fractions = {identity: p.fraction for identity, p in self._progress.items()}
        self._pace.look(fractions, time.monotonic())

    def screen(self) -> RenderableType:
        """What a terminal shows while runs are executed: no more lines than it has."""
        parts: list[RenderableType] = [*self._running(), self._footer()]
        if self._doing:
            parts.append(Text(self._doing, style="cyan"))
        below = Group(*parts)
        used = len(self._console.render_lines(below, pad=False))
        lines = max(self._console.height - used - 2, 3)
        return Group(self._picture(lines=lines), below)

    def _picture(self, *, lines: int | None) -> RenderableType:
        return picture(self._plan, self._progress, self._console, lines=lines)

    def _running(self) -> list[RenderableType]:
        """A line for each run that is being executed here."""
        if not self._mine:
            return []
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for _ in range(4):
            table.add_column(no_wrap=True, justify="right")
        shown = list(self._mine)[:MOST_RUNNING]
        for identity in shown:
            table.add_row(*self._line(self._runs[identity], self._progress[identity]))
        hidden = len(self._mine) - len(shown)
        more = [Text(f"and {_runs(hidden)} more", style="dim")] if hidden else []
        return [Text(""), table, *more]

    def _line(self, run: Run, progress: Progress) -> Sequence[RenderableType]:
        left = self._pace.seconds_left(run)
        sign, labels = SIGNS["running"].on(self._console), self._plan[run.cell].labels.values()
        return (
            Text(f"{sign} seed {run.seed}  {' '.join(labels)}", style="cyan"),
            ProgressBar(total=1.0, completed=progress.fraction, width=BAR),
            f"{progress.epochs}/{run.experiment.training.epochs}",
            "" if progress.value is None else f"val {progress.value:.2f} %",
            "" if left is None else f"{clock(left)} left",
        )

    def _states(self) -> Text:
        states = Counter(progress.state for progress in self._progress.values())
        parts = [f"{states['finished']} of {_runs(len(self._progress))} finished"]
        parts += [f"{states[state]} {state}" for state in ("running", "failed") if states[state]]
        return Text(", ".join(parts))

    def _footer(self) -> Text:
        text = self._states()
        if self._todo:
            text.append(f"   {clock(time.monotonic() - self._begin)} elapsed", "dim")
        open_ = [run for run in self._todo if run.id not in self._over]
        left = self._pace.seconds_left_of_all(open_)
        if left is not None:
            text.append(f", about {clock(left)} left", "dim")
        return text

    def _tell(self, identity: str, what: str, detail: str = "") -> None:
        if self._live:
            return
        run = self._runs[identity]
        done, total = len(self._over), len(self._todo)
        self._print(f"[{done}/{total}] {run.cell} seed {run.seed}: {what}{detail}")

    def _explain(self, run: Run, message: str) -> None:
        """Show what went wrong at once: the rest goes on, and hours may pass."""
        directory = run.directory
        source = directory.error if directory.error.exists() else directory.log
        lines = message.splitlines() if message else _told(source)
        self._print(f"{run.cell} seed {run.seed} failed: {'' if message else source}", "red")
        for line in lines:
            self._print(f"    {line}", "dim")

    def _print(self, line: str, style: str = "") -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _how(outcome: str, progress: Progress, seconds: float, *, again: bool) -> tuple[str, str]:
    if outcome == "claimed":
        return "is being executed elsewhere", f" ({progress.host})" if progress.host else ""
    if outcome == "finished":
        value = "" if progress.value is None else f" {progress.value:.2f}"
        return "finished", f"{value} in {clock(seconds)}"
    return outcome, ", goes on later" if again else ""


def _told(file: Path) -> list[str]:
    """What a failure says first; of an error that nobody has foreseen, also where it happened."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = text.rstrip().splitlines()
    if TRACEBACK in lines and lines[0] != "error":
        lines = lines[: lines.index(TRACEBACK)]
    return lines if len(lines) <= TOLD else [*lines[:3], "...", *lines[-TOLD + 4 :]]


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
