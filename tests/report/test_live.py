import json
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from awlab.plan import Plan, Run
from awlab.record.claim import claim
from awlab.record.run_directory import RunDirectory
from awlab.report import live
from awlab.report.live import StudyView

Finish = Callable[..., RunDirectory]


@pytest.fixture
def plan(make_plan: Callable[..., Plan]) -> Plan:
    return make_plan()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time stands still until it is moved."""
    now = [1000.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])

    def pass_(seconds: float) -> None:
        now[0] += seconds

    return pass_


def begin(run: Run, *errors: float) -> None:
    """Leave behind what a run leaves that has validated some epochs."""
    run.directory.create(run.experiment)
    rows = [
        {"epoch": k, "step": k, "val/loss": 1.0, "val/top1_error": error}
        for k, error in enumerate(errors)
    ]
    run.directory.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def screen(view: StudyView) -> list[str]:
    """What a terminal of 80 columns shows now."""
    paper = Console(file=StringIO(), width=80, height=24, color_system=None)
    view.look()
    paper.print(view.screen())
    lines = printed(paper)
    assert max(map(len, lines)) <= 80
    return lines


class TestAwayFromATerminal:
    @pytest.fixture
    def console(self) -> Console:
        return Console(file=StringIO(), width=80, highlight=False)

    def test_each_event_is_a_line(
        self, plan: Plan, console: Console, finish: Finish, clock: Callable[[float], None]
    ) -> None:
        first, second, third, _ = plan.runs
        with StudyView(plan, plan.runs[:3], console) as view:
            view.say("smoke test: 0 of 1 architectures")
            view.say("")
            view.started(first.id)
            clock(65)
            finish(first, 12.5)
            view.ended(first.id, "finished", again=False)
            view.started(second.id)
            view.ended(second.id, "killed", again=True)
            view.ended(third.id, "claimed", again=True)
            view.refresh()
        assert printed(console) == [
            "smoke test: 0 of 1 architectures",
            "[0/3] residual seed 0: started",
            "[1/3] residual seed 0: finished 12.50 in 1:05",
            "[1/3] residual seed 1: started",
            "[1/3] residual seed 1: killed, goes on later",
            "[1/3] product seed 0: is being executed elsewhere",
        ]

    def test_a_failure_is_told_at_once_with_its_story(self, plan: Plan, console: Console) -> None:
        run = plan.runs[0]
        begin(run)
        story = ["no memory", "Set a smaller batch", *(f"line {k}" for k in range(30))]
        run.directory.fail("out of memory", "\n".join(story))
        with StudyView(plan, [run], console) as view:
            view.ended(run.id, "out of memory", again=False)
        lines = printed(console)
        assert lines[:5] == [
            "[1/1] residual seed 0: out of memory",
            f"residual seed 0 failed: {run.directory.error}",
            "    out of memory",
            "    no memory",
            "    Set a smaller batch",
        ]
        assert lines[5] == "    ..."
        assert lines[-1] == "    line 29"
        assert len(lines) == 14

    def test_what_no_file_tells_is_told_by_the_pool(self, plan: Plan, console: Console) -> None:
        with StudyView(plan, plan.runs[:1], console) as view:
            view.ended(plan.runs[0].id, "error", again=False, message="cannot write\nthe folder")
        assert printed(console) == [
            "[1/1] residual seed 0: error",
            "residual seed 0 failed:",
            "    cannot write",
            "    the folder",
        ]

    def test_a_run_that_was_asked_to_end_has_not_failed(self, plan: Plan, console: Console) -> None:
        run = plan.runs[0]
        begin(run, 40.0)
        with StudyView(plan, [run], console) as view:
            view.started(run.id)
            view.stopping()
            view.ended(run.id, "preempted", again=False)
            view.stopping()
            assert screen(view)[-1] == "0 of 4 runs finished   0:00 elapsed"
        assert printed(console) == [
            "[0/1] residual seed 0: goes on",
            "ending: 1 run writes its checkpoint; Ctrl-C again kills at once",
            "[1/1] residual seed 0: preempted",
        ]


class TestOnATerminal:
    @pytest.fixture
    def console(self) -> Console:
        return Console(file=StringIO(), width=80, height=24, force_terminal=True, color_system=None)

    def test_the_screen_shows_what_each_run_is_doing(
        self, plan: Plan, console: Console, finish: Finish, clock: Callable[[float], None]
    ) -> None:
        done, running, failed, waiting = plan.runs
        view = StudyView(plan, plan.runs, console, at_once=2)
        view.started(done.id)
        clock(60)
        finish(done, 12.5)
        view.ended(done.id, "finished", again=False)
        view.started(running.id)
        view.started(failed.id)
        begin(failed)
        failed.directory.fail("diverged", "at step 7")
        view.ended(failed.id, "diverged", again=False)
        clock(20)
        begin(running, 45.0)
        lines = screen(view)
        assert [line.split() for line in lines[:3]] == [
            ["f2", "seed", "0", "seed", "1"],
            ["residual", "\N{CHECK MARK}", "12.50", "\u25b6", "50%"],
            ["product", "\N{BALLOT X}", "diverged", "\N{MIDDLE DOT}"],
        ]
        assert lines[4].startswith("\u25b6 seed 1  residual ")
        assert lines[4].endswith("1/2  val 45.00 %  0:20 left")
        assert (
            lines[5] == "1 of 4 runs finished, 1 running, 1 failed   1:20 elapsed, about 0:50 left"
        )
        view.say("smoke test")
        assert screen(view)[-1] == "smoke test"
        assert waiting.state == "missing"

    def test_a_run_that_others_execute_is_watched(
        self, plan: Plan, console: Console, finish: Finish
    ) -> None:
        run = plan.runs[0]
        begin(run, 45.0)
        view = StudyView(plan, plan.runs, console)
        with claim(run.path):
            view.ended(run.id, "claimed", again=True)
            assert "\u25b6 50%" in screen(view)[1]
        finish(run, 12.5)
        assert "\N{CHECK MARK} 12.50" in screen(view)[1]
        assert not view.over

    def test_no_more_lines_than_the_terminal_has(
        self, make_plan: Callable[..., Plan], console: Console
    ) -> None:
        axis = {"path": "training.optimizer.lr", "values": [i / 100 for i in range(1, 41)]}
        plan = make_plan(axes={"lr": axis}, baseline=0.01, seeds=1)
        view = StudyView(plan, plan.runs, console, at_once=20)
        for run in plan.runs[:20]:
            view.started(run.id)
        lines = screen(view)
        assert len(lines) < 24
        assert "and 12 runs more" in lines[-2]

    def test_the_last_picture_stays(self, plan: Plan, console: Console, finish: Finish) -> None:
        with StudyView(plan, plan.runs, console) as view:
            view.refresh()
            for run in plan.runs:
                view.started(run.id)
                finish(run, 12.5)
                view.ended(run.id, "finished", again=False)
            assert view.over
        lines = printed(console)
        assert "4 of 4 runs finished" in lines
        assert not [line for line in lines if "started" in line]
