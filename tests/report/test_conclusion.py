from collections.abc import Callable
from io import StringIO

from rich.console import Console

from awlab.plan import Plan, Run
from awlab.record.run_directory import RunDirectory
from awlab.report.conclusion import conclude

STUDY = "study.yaml seeds=2"
Finish = Callable[..., RunDirectory]


def said(plan: Plan, executed: tuple[Run, ...], *, stopped: bool = False) -> str:
    console = Console(file=StringIO(), width=80, color_system=None)
    conclude(console, plan, STUDY, executed, stopped=stopped)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_an_interrupted_study_says_how_to_go_on(
    make_plan: Callable[..., Plan], finish: Finish
) -> None:
    finish(make_plan().runs[0], 12.5)
    plan = make_plan()
    assert said(plan, plan.runs, stopped=True) == (
        "interrupted: 1 of 4 runs are finished; the same command goes on from here\n"
    )


def test_a_finished_study_shows_its_table(make_plan: Callable[..., Plan], finish: Finish) -> None:
    for run in make_plan().runs:
        finish(run, 12.5)
    plan = make_plan()
    text = said(plan, plan.runs)
    assert "study: test/top1_error in %" in text
    assert text.endswith("the page with figures: awlab report study.yaml seeds=2\n")
    assert said(plan, ()).startswith("nothing to do: all 4 runs are finished\n")


def test_failures_are_counted(make_plan: Callable[..., Plan], finish: Finish) -> None:
    first, second, third, _ = make_plan().runs
    finish(first, 12.5)
    for run, kind in ((second, "diverged"), (third, "out of memory")):
        run.directory.create(run.experiment)
        run.directory.fail(kind, "a story")
    plan = make_plan()
    text = said(plan, ())
    assert text.startswith("nothing to do: 1 of 4 runs are finished, and no other was asked for\n")
    assert (
        "failed: 1 diverged, 1 out of memory; "
        "awlab ablate study.yaml seeds=2 --retry-failed starts them again\n"
    ) in text


def test_a_damaged_result_is_pointed_at(make_plan: Callable[..., Plan], finish: Finish) -> None:
    first, second, *_ = make_plan().runs
    finish(first, 12.5)
    file = finish(second, 12.5).result
    file.write_text("{")
    plan = make_plan()
    text = said(plan, ())
    assert f"damaged: {file}; remove it, and the same command makes it anew\n" in text


def test_a_study_without_a_result_has_no_table(make_plan: Callable[..., Plan]) -> None:
    plan = make_plan()
    assert said(plan, ()) == (
        "nothing to do: 0 of 4 runs are finished, and no other was asked for\n\n"
    )
