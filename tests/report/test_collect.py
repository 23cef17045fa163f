import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awlab.plan import Plan
from awlab.record.record import Epoch
from awlab.record.run_directory import RunDirectory
from awlab.report.collect import collect
from awlab.report.results import CellFacts
from awlab.spec.errors import InputError

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]
ERRORS = {"residual": [10.0, 11.0], "product": [12.0, 14.0]}


@pytest.fixture
def finished(make_plan: MakePlan, finish: Finish) -> Callable[..., Plan]:
    """A study all of whose runs are finished."""

    def make(**changes: Any) -> Plan:
        for cell in make_plan(**changes).cells:
            for run, error in zip(cell.runs, ERRORS.get(cell.name, []), strict=False):
                finish(run, error)
        return make_plan(**changes)

    return make


def test_values_are_those_of_the_runs_by_seed(finished: MakePlan) -> None:
    results = collect(finished())
    assert results.title == "study"
    assert results.metric == "test/top1_error"
    comparison = results.comparison
    assert (comparison.baseline, comparison.direction) == ("residual", "min")
    assert {cell.name: list(cell.by_seed.values()) for cell in comparison.cells} == ERRORS
    difference = comparison["product"].difference
    assert difference is not None
    assert difference.paired.by_seed == {0: 2.0, 1: 3.0}
    assert results.labels == {"residual": {"f2": "residual"}, "product": {"f2": "product"}}
    assert results.epoch_chosen_on is None


def test_facts(finished: MakePlan, finish: Finish) -> None:
    paper = {"product": {"source": "Table 9", "top1_error": 12.5, "parameters_m": 1.0}}
    plan = finished(paper=paper)
    finish(plan["product"].runs[0], 12.0, images_per_second=320.0, peak_memory_bytes=2**31)
    results = collect(plan)
    assert results.facts_of("residual") == CellFacts(1000, 0.25, 0.1, 2**30, None)
    facts = results.facts_of("product")
    assert facts.step_seconds == pytest.approx(0.15), "64 images at 320 and at 640 a second"
    assert replace(facts, step_seconds=None) == CellFacts(1000, 0.25, None, 2**31, 12.5)


def test_unmeasured_facts_are_unknown(finished: MakePlan, finish: Finish) -> None:
    plan = finished()
    for run in plan.runs:
        finish(run, 10.0, images_per_second=0.0, peak_memory_bytes=0)
    assert collect(plan).facts_of("product") == CellFacts(1000, 0.25)


def test_another_metric(finished: MakePlan) -> None:
    metric = {"name": "val/top1_error"}
    results = collect(finished(metric=metric, paper={"product": {"source": "", "top1_error": 1.0}}))
    assert results.comparison["product"].by_seed == {0: 49.0, 1: 49.0}
    assert results.comparison.direction == "min"
    assert results.facts_of("product").published is None, "papers print errors on the test set"


@pytest.mark.parametrize(
    ("weights", "metric", "split"),
    [
        ("best", "test/top1_error", "val"),
        ("best", "val/top1_error", None),
        ("last", "test/top1_error", None),
    ],
)
def test_the_split_that_chose_the_epoch(
    make_plan: MakePlan, weights: str, metric: str, split: str | None
) -> None:
    axis = {"path": "training.test_weights", "values": [weights]}
    plan = make_plan(axes={"weights": axis}, baseline=weights, metric={"name": metric})
    assert collect(plan).epoch_chosen_on == split


def test_a_study_of_which_nothing_is_finished(make_plan: MakePlan) -> None:
    results = collect(make_plan())
    assert [cell.missing for cell in results.cells] == [
        {0: "not finished", 1: "not finished"},
        {0: "not finished", 1: "not finished"},
    ]
    assert results.facts_of("product") == CellFacts()


def test_one_seed_and_one_cell(finished: MakePlan) -> None:
    axis = {"path": "model.conv.f2", "values": ["residual"]}
    results = collect(finished(seeds=1, axes={"f2": axis}))
    (cell,) = results.cells
    assert (cell.sample.mean, cell.sample.interval) == (10.0, None)


def _fail(directory: RunDirectory, text: str) -> None:
    directory.result.unlink()
    directory.error.write_text(text)


def _write(directory: RunDirectory, text: str) -> None:
    directory.result.write_text(text)


def _interrupt(directory: RunDirectory) -> None:
    directory.result.unlink()


def _halve(directory: RunDirectory) -> None:
    _interrupt(directory)
    directory.experiment.write_text(directory.experiment.read_text()[:40])


def _change(directory: RunDirectory, value: Any) -> None:
    document = json.loads(directory.result.read_text())
    document["metrics"] = value
    directory.result.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_interrupt, "not finished"),
        (_halve, "not finished"),
        (lambda d: _fail(d, "diverged\nloss was nan"), "diverged"),
        (lambda d: _fail(d, "out of memory\nCUDA"), "failed: out of memory"),
        (lambda d: _fail(d, "error\nTraceback"), "failed"),
        (lambda d: _fail(d, ""), "failed"),
        (lambda d: _fail(d, "<script>" * 100), "failed: " + ("<script>" * 100)[:60]),
        (lambda d: _write(d, '{"id": "'), "has a damaged result"),
        (lambda d: _write(d, "\x00\x00"), "has a damaged result"),
        (lambda d: _change(d, {"test/top1_error": "low"}), "has a damaged result"),
        (lambda d: _change(d, {"test/top1_error": math.nan}), "diverged"),
        (lambda d: _change(d, {"test/top1_error": None}), "diverged"),
        (lambda d: _change(d, {"test/loss": 1.0}), "lacks test/top1_error"),
    ],
)
def test_a_run_without_a_value_says_why(
    finished: MakePlan, make_plan: MakePlan, damage: Callable[[RunDirectory], None], reason: str
) -> None:
    damage(finished()["product"].runs[1].directory)
    results = collect(make_plan())
    cell = results.comparison["product"]
    assert cell.missing == {1: reason}
    assert cell.by_seed == {0: 12.0}
    assert cell.difference is None


def test_a_result_that_vanishes_after_planning(finished: MakePlan) -> None:
    plan = finished()
    plan["product"].runs[0].directory.result.unlink()
    assert collect(plan).comparison["product"].missing == {0: "has a damaged result"}


def test_a_metric_that_no_run_has(finished: MakePlan) -> None:
    message = (
        "metric.name of the study study is 'test/top1_eror', which none of its 4 finished runs "
        "has; expected one of test/loss, test/top1_error, val/loss, val/top1_error. "
        r"Did you mean 'test/top1_error'\?"
    )
    with pytest.raises(InputError, match=message):
        collect(finished(metric={"name": "test/top1_eror"}))


def test_a_metric_of_the_validation_is_that_of_the_last_epoch(
    finished: MakePlan, finish: Finish
) -> None:
    plan = finished(metric={"name": "val/top1_error"})
    best = Epoch(0, {"val/top1_error": 5.0})
    last = Epoch(1, {"val/top1_error": 9.0})
    finish(plan["product"].runs[0], 1.0, best=best, last=last)
    assert collect(plan).comparison["product"].by_seed[0] == 9.0


TWINS = {"path": "model.conv.f2", "values": {"a": "residual", "b": "residual", "c": "product"}}


@pytest.mark.parametrize(
    ("baseline", "run", "same_as"),
    [("a", ["a", "c"], {"b": "a"}), ("b", ["b", "c"], {"a": "b"}), ("c", ["a", "c"], {"b": "a"})],
)
def test_of_cells_that_share_runs_the_baseline_is_shown(
    make_plan: MakePlan, baseline: str, run: list[str], same_as: dict[str, str], finish: Finish
) -> None:
    changes: dict[str, Any] = {
        "axes": {"f2": TWINS},
        "baseline": baseline,
        "paper": {"b": {"source": "Table 9", "top1_error": 3.0}},
    }
    for one in make_plan(**changes).runs:
        finish(one, 10.0)
    results = collect(make_plan(**changes))
    assert [cell.name for cell in results.comparison.cells] == run
    assert results.same_as == same_as
    assert results.comparison.baseline == baseline
    assert results.facts_of("b").published == 3.0
    assert results.facts_of("a").published is None
    assert results.facts_of("b").parameters == 1000


def test_families_are_compared_with_their_own_baselines(
    make_plan: MakePlan, finish: Finish
) -> None:
    reduction = {"path": "model.conv.reduction", "values": [4, 8]}
    changes: dict[str, Any] = {
        "axes": {"f2": TWINS, "r": reduction},
        "baseline": "f2=b,r=4",
        "other_baselines": {"f2=b,r=8": ["f2=a,r=8", "f2=c,r=8"]},
        "paper": {
            name: {"source": "Table 9", "top1_error": error}
            for name, error in {"f2=b,r=4": 1.0, "f2=b,r=8": 3.0, "f2=c,r=8": 10.0}.items()
        },
    }
    for one in make_plan(**changes).runs:
        finish(one, 10.0)
    results = collect(make_plan(**changes))
    assert results.same_as == {"f2=a,r=4": "f2=b,r=4", "f2=a,r=8": "f2=b,r=8"}
    assert results.comparison.baselines == ("f2=b,r=4", "f2=b,r=8")
    assert results.comparison.family == 2
    assert results.comparison.reference_of("f2=c,r=8") == "f2=b,r=8"
    assert results.comparison.reference_of("f2=c,r=4") == "f2=b,r=4"
    assert results.published_difference("f2=c,r=8") == 7.0
    assert results.published_difference("f2=b,r=8") is None


def test_a_baseline_whose_family_shares_its_runs_is_still_compared_with_nothing(
    make_plan: MakePlan,
) -> None:
    axes = {"f2": TWINS}
    plan = make_plan(axes=axes, baseline="c", other_baselines={"a": ["b"]})
    assert collect(plan).comparison.baselines == ("c", "a")


def test_excluded_cells_are_left_to_the_plan(make_plan: MakePlan) -> None:
    exclude = [{"when": {"f2": "product"}, "reason": "why"}]
    assert [cell.name for cell in collect(make_plan(exclude=exclude)).cells] == ["residual"]


def test_labels_of_any_letters(make_plan: MakePlan, tmp_path: Path) -> None:
    values = {"x" * 48: "residual", "A.b+c_d-e": "product"}
    plan = make_plan(axes={"f2": {"path": "model.conv.f2", "values": values}}, baseline="x" * 48)
    assert [cell.name for cell in collect(plan).cells] == list(values)
