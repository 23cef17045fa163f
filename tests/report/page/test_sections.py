from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report.collect import collect
from awlab.report.page.sections import costs, differences, effects, kind_of
from awlab.report.results import CellFacts, Results
from awlab.statistics import compare

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]
PLUS_MINUS, MINUS, NOTHING = "\N{PLUS-MINUS SIGN}", "\N{MINUS SIGN}", "\N{EN DASH}"
NAMES = ["plain", "aw", "se", "aa", "cbam"]


def test_kinds(results: Results) -> None:
    kinds = [kind_of(cell, results) for cell in results.comparison.cells]
    assert kinds == ["baseline", "better", "unclear", "worse", "untested"]


def test_every_cell_has_a_line_in_the_forest(results: Results) -> None:
    plot = differences(results)
    assert plot is not None
    assert [line.label for line in plot.lines] == NAMES
    assert [line.number for line in plot.lines] == [
        f"28.35 {PLUS_MINUS} 0.20",
        f"{MINUS}1.05 {PLUS_MINUS} 0.04",
        f"+0.05 {PLUS_MINUS} 0.22",
        f"+1.05 {PLUS_MINUS} 0.04",
        NOTHING,
    ]
    assert [line.value for line in plot.lines] == pytest.approx([0.0, -1.05, 0.05, 1.05, None])
    assert [len(line.row.dots) for line in plot.lines] == [0, 8, 8, 8, 0]
    assert plot.lines[1].verdict == "better"
    assert plot.lines[1].row.published is not None, "the paper prints -1.87"
    assert [line.row.published for line in plot.lines[2:]] == [None] * 3


def test_without_a_difference_there_is_no_forest() -> None:
    comparison = compare({"a": {0: 1.0}, "b": {}}, baseline="a", seeds=[0], direction="min")
    assert differences(Results("study", "val/loss", comparison)) is None


def test_costs_show_complete_cells_that_have_them(results: Results) -> None:
    by_title = {plot.title: plot for plot in costs(results)}
    assert list(by_title) == ["multiply-accumulates (G)", "parameters (M)"]
    points = by_title["parameters (M)"].scatter.points
    assert [point.name for point in points] == ["plain", "aw"]
    assert [point.on_front for point in points] == [True, True]
    assert by_title["parameters (M)"].kinds["aw"] == "better"


def test_a_cell_that_lacks_runs_is_not_ranked(results: Results) -> None:
    cbam = "attention=cbam,f2=residual"
    more = replace(results, facts={**results.facts, cbam: CellFacts(1, 0.1)})
    assert "cbam" not in [point.name for point in costs(more)[0].scatter.points]


def test_cells_of_equal_cost_have_no_plot(results: Results) -> None:
    facts = {cell.name: CellFacts(1000, 0.5) for cell in results.comparison.cells}
    assert costs(replace(results, facts=facts)) == []


F2 = {"path": "model.conv.f2", "values": ["residual", "product"]}
REDUCTION = {"path": "model.conv.reduction", "values": [8, 16]}
FACTORIAL: dict[str, Any] = {
    "axes": {"f2": F2, "r": REDUCTION},
    "baseline": "f2=residual,r=8",
    "seeds": 2,
}
ERRORS = {
    "f2=residual,r=8": 10.0,
    "f2=residual,r=16": 12.0,
    "f2=product,r=8": 11.0,
    "f2=product,r=16": 15.0,
}


@pytest.fixture
def factorial(make_plan: MakePlan, finish: Finish) -> MakePlan:
    def make(**changes: Any) -> Plan:
        for cell in make_plan(**FACTORIAL | changes).cells:
            for run in cell.runs:
                finish(run, ERRORS.get(cell.name, 20.0) + run.seed)
        return make_plan(**FACTORIAL | changes)

    return make


def test_main_effects_are_means_over_the_other_axis(factorial: MakePlan) -> None:
    plan = factorial()
    found = effects(plan, collect(plan))
    assert found is not None
    assert found.plot is not None
    assert {line.label: line.value for line in found.plot.lines} == {
        "f2: product instead of residual": 2.0,  # (1 + 3) / 2
        "r: 16 instead of 8": 3.0,  # (2 + 4) / 2
    }
    assert found.plot.lines[0].verdict == "p = 0.5, not adjusted"
    assert found.missing == {}


def test_a_missing_run_costs_the_effects_that_need_it(factorial: MakePlan) -> None:
    plan = factorial(exclude=[{"when": {"f2": "product", "r": 16}, "reason": "why"}])
    found = effects(plan, collect(plan))
    assert found is not None
    assert found.plot is None
    assert found.missing == {
        "f2: product instead of residual": ("f2=product,r=16",),
        "r: 16 instead of 8": ("f2=product,r=16",),
    }


def test_cells_that_share_runs_fill_their_corners(factorial: MakePlan) -> None:
    """F2 of a convolution that is not there changes nothing; both corners have its numbers."""
    axes = {"f2": {**F2, "values": {"a": "residual", "b": "residual"}}, "r": REDUCTION}
    plan = factorial(axes=axes, baseline="f2=b,r=8")
    results = collect(plan)
    assert results.same_as == {"f2=a,r=8": "f2=b,r=8", "f2=b,r=16": "f2=a,r=16"}
    found = effects(plan, results)
    assert found is not None
    assert found.plot is not None
    assert [line.value for line in found.plot.lines] == [0.0, 0.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"axes": {"f2": F2}, "baseline": "residual"},
        {"design": "one_factor_at_a_time"},
        {"axes": {"f2": F2, "r": {**REDUCTION, "values": [8]}}},
    ],
)
def test_only_a_factorial_of_several_axes_has_main_effects(
    factorial: MakePlan, changes: dict[str, Any]
) -> None:
    plan = factorial(**changes)
    assert effects(plan, collect(plan)) is None
