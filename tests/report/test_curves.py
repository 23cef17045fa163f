import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from awlab.plan import Plan, Run
from awlab.record.run_directory import RunDirectory
from awlab.report import curves as module
from awlab.report.curves import Band, Curves, curves

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]
VAL = "val/top1_error"


def record(run: Run, errors: Sequence[float | None], name: str = VAL) -> None:
    rows = [{"epoch": k, "step": k, name: error} for k, error in enumerate(errors)]
    directory = RunDirectory(run.path)
    directory.create(run.experiment)
    directory.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(plan: Plan) -> Curves:
    found = curves(plan, [cell.name for cell in plan.cells])
    assert found is not None
    return found


def test_a_band_is_mean_and_extremes_over_the_finished_runs(
    make_plan: MakePlan, finish: Finish
) -> None:
    first, second, third = make_plan(seeds=3)["product"].runs
    for run, errors in ((first, [50.0, 30.0]), (second, [60.0, 20.123456])):
        finish(run, 10.0)
        record(run, errors)
    record(third, [99.0])
    found = read(make_plan(seeds=3))
    assert (found.epochs, found.metrics, found.thinned) == ([1, 2], [VAL], False)
    assert found.bands == {"product": {VAL: Band([55.0, 25.06], [50.0, 20.12], [60.0, 30.0])}}


def test_while_nothing_is_finished_what_has_begun_is_shown_as_far_as_all_are(
    make_plan: MakePlan,
) -> None:
    first, second = make_plan()["product"].runs
    record(first, [50.0, 40.0, 30.0])
    record(second, [60.0, 50.0])
    assert read(make_plan()).bands["product"][VAL].mean == [55.0, 45.0]


def test_what_is_not_finite_leaves_a_gap(make_plan: MakePlan) -> None:
    record(make_plan()["product"].runs[0], [50.0, None, 30.0])
    assert read(make_plan()).bands["product"][VAL].mean == [50.0, None, 30.0]


def test_cells_of_different_lengths_share_the_epochs(make_plan: MakePlan) -> None:
    plan = make_plan()
    record(plan["residual"].runs[0], [50.0])
    record(plan["product"].runs[0], [60.0, 40.0])
    found = read(make_plan())
    assert found.epochs == [1, 2]
    assert found.bands["residual"][VAL].mean == [50.0, None]


def test_metrics_stand_in_their_order_and_only_where_recorded(
    make_plan: MakePlan, finish: Finish
) -> None:
    plan = make_plan()
    finish(plan["residual"].runs[0], 10.0)
    record(plan["product"].runs[0], [1.0], name="train/loss")
    found = read(make_plan())
    assert found.metrics == [VAL, "val/loss", "train/loss", "train/top1_error"]
    assert list(found.bands["product"]) == ["train/loss"]


def test_without_a_run_there_are_no_curves(make_plan: MakePlan) -> None:
    assert curves(make_plan(), ["residual", "product"]) is None


@pytest.mark.parametrize("text", ["", "\x00", '{"epoch": 0, "step"', "7\n[]\n"])
def test_damaged_metrics_are_no_curve(make_plan: MakePlan, text: str) -> None:
    run = make_plan()["product"].runs[0]
    record(run, [50.0])
    RunDirectory(run.path).metrics.write_text(text)
    assert curves(make_plan(), ["residual", "product"]) is None


def test_a_long_training_is_thinned_evenly(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: dict[str, Any] = {"MOST_NUMBERS": 60, "FEWEST_EPOCHS": 3}
    for name, value in limits.items():
        monkeypatch.setattr(module, name, value)
    record(make_plan()["product"].runs[0], [float(k) for k in range(101)])
    found = read(make_plan())
    # 60 numbers are 10 epochs of 2 cells with mean, low and high
    assert found.epochs == [1, 12, 23, 34, 45, 57, 68, 79, 90, 101]
    assert found.thinned
    assert found.bands["product"][VAL].mean == [float(epoch - 1) for epoch in found.epochs]


def test_a_large_study_shows_the_first_metrics(
    make_plan: MakePlan, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_NUMBERS", 2 * 3 * 80)
    finish(make_plan()["product"].runs[0], 10.0)
    assert read(make_plan()).metrics == [VAL, "val/loss"]
