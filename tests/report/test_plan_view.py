from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from awlab.plan import Plan, plan
from awlab.plan.bill import bill, power
from awlab.record.run_directory import RunDirectory
from awlab.report.plan_view import plan_document, show_plan
from awlab.report.signs import SIGNS

Finish = Callable[..., RunDirectory]
DONE, PAUSED, FAILED, MISSING = (
    SIGNS[state].character for state in ("finished", "interrupted", "failed", "missing")
)


def shown(study: Plan, costs: dict[str, tuple[int, float]] | None = None) -> list[str]:
    console = Console(file=StringIO(), width=80, color_system=None)
    show_plan(console, study, bill(study), power(study), costs)
    assert isinstance(console.file, StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    return lines


def test_cells_with_what_is_done_and_what_is_left(
    make_plan: Callable[..., Plan], finish: Finish
) -> None:
    first, second, third, _ = make_plan().runs
    finish(first, 12.5)
    second.directory.create(second.experiment)
    third.directory.create(third.experiment)
    third.directory.fail("error", "a story")
    lines = shown(make_plan())
    assert lines[1:4] == [
        f"residual (baseline)  {DONE} {PAUSED}",
        f"product              {FAILED} {MISSING}",
        f"{DONE} finished   {PAUSED} interrupted   {FAILED} failed   {MISSING} missing",
    ]
    text = " ".join(lines)
    assert "4 runs, 1 finished, 3 left: about 0.05 hours of runs" in text
    assert "(from 1 finished runs)" in text
    assert (
        "2 seeds: the smallest possible p-value is 0.5; 1 comparisons cannot get a verdict at 5 % "
        "with Holm's correction, 6 seeds could"
    ) in text


def test_excluded_and_equal_cells_say_why(make_plan: Callable[..., Plan]) -> None:
    axis = {"path": "model.conv.reduction", "values": [8, 16, 32]}
    study = make_plan(
        axes={"r": axis}, baseline=16, exclude=[{"when": {"r": 8}, "reason": "too wide"}]
    ).merge({"32": "16"}, "builds the same network")
    lines = shown(study, costs={"16": (23_870_460, 1.2352)})
    assert lines[1].split() == ["8", "excluded:", "too", "wide"]
    assert lines[2].split()[:4] == ["16", "(baseline)", "23,870,460", "1.2352"]
    said = " ".join(" ".join(lines[3:6]).split())
    assert "same runs as 16 (builds the same network as 16)" in said


def test_a_study_that_is_done_is_not_billed(make_plan: Callable[..., Plan], finish: Finish) -> None:
    for i, run in enumerate(make_plan(seeds=6).runs):
        finish(run, 12.0 + i % 6 + (i > 5))
    text = " ".join(shown(make_plan(seeds=6)))
    assert "12 runs, 12 finished, 0 left " in text
    assert "shown with 80 % power: 0.00 pp or more" in text


def test_notes_are_said_once(make_plan: Callable[..., Plan]) -> None:
    values = {"c1": {"c1": "full"}, "n": {"n": "full"}, "n+c1": {"n": "full", "c1": "full"}}
    study = make_plan(axes={"e": {"path": "model.conv.expand", "values": values}}, baseline="c1")
    text = " ".join(shown(study))
    assert text.count("note: ") == 1
    assert "number of devices: n, n+c1" in text


def test_as_data(make_plan: Callable[..., Plan]) -> None:
    study = make_plan()
    document = plan_document(study, bill(study), power(study), {"product": (10, 0.5)})
    assert [cell["parameters"] for cell in document["cells"]] == [None, 10]
    assert document["bill"]["runs"] == 4
    assert document["power"]["seeds"] == 2
    assert "parameters" not in plan_document(study, bill(study), power(study))["cells"][0]
    assert plan(study.ablation) == study


@pytest.mark.parametrize("width", [40, 60])
def test_narrow_terminals(make_plan: Callable[..., Plan], width: int) -> None:
    study = make_plan(seeds=20)
    console = Console(file=StringIO(), width=width, color_system=None)
    show_plan(console, study, bill(study), power(study))
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().count(MISSING) == 41
