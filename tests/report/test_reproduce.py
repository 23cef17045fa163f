import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report.collect import collect
from awlab.report.reproduce import Agreement, Reproduced, reproduce, show_reproduction
from awlab.statistics import Sample
from awlab.statistics.significance import prediction_interval

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]
Rows = Callable[..., dict[str, Reproduced]]
RESIDUAL = {"source": "Table 9, row 1", "top1_error": 20.0}
TIGHT = [0.0, 0.1, -0.1, 0.05, -0.05]
UNRESOLVED = "cannot be resolved with these seeds"
WIDE = [0.0, 2.0, -2.0, 1.0, -1.0]


@dataclass
class Cost:
    quantity: str = "parameters_m"
    ours: float = 8.434
    printed: float = 8.43
    decimals: int = 2
    verdict: str = "match"
    note: str | None = None


@pytest.fixture
def rows(make_plan: MakePlan, finish: Finish) -> Rows:
    """Rows of a study with a baseline at 20 % and `product` at given errors."""

    def make(
        errors: list[float], printed: float | None, baseline: list[float] = TIGHT
    ) -> dict[str, Reproduced]:
        product = {"source": "Table 9, row 2", "top1_error": printed}
        changes: dict[str, Any] = {"seeds": 5, "paper": {"residual": RESIDUAL, "product": product}}
        plan = make_plan(**changes)
        for cell, values in (("residual", [20 + b for b in baseline]), ("product", errors)):
            for run, error in zip(plan[cell].runs, values, strict=False):
                finish(run, error)
        plan = make_plan(**changes)
        found = reproduce(plan, collect(plan), {"product": [Cost()]})
        return {row.cell: row for row in found}

    return make


def around(middle: float, spread: list[float]) -> list[float]:
    return [middle + s for s in reversed(spread)]


@pytest.mark.parametrize(
    ("errors", "printed", "error", "difference"),
    [
        (around(18.0, TIGHT), 18.1, "matches", "matches"),
        (around(18.0, TIGHT), 15.0, "differs", "differs"),
        (around(18.0, WIDE), 16.0, "within the interval", UNRESOLVED),
        (around(10.0, WIDE), 12.0, "within the interval", "within the interval"),
        (around(18.0, WIDE), 10.0, "differs", "differs"),
        (
            [18.0],
            18.0,
            "cannot be resolved with these seeds",
            "cannot be resolved with these seeds",
        ),
        ([], 18.0, "not run here", "not run here"),
        ([18.0] * 5, 18.5, "matches", "matches"),
        ([18.0] * 5, 18.6, "differs", "differs"),
    ],
)
def test_verdicts(
    rows: Rows, errors: list[float], printed: float, error: str, difference: str
) -> None:
    row = rows(errors, printed, baseline=TIGHT if len(set(errors)) > 1 else [0.0] * 5)["product"]
    assert row.error is not None
    assert row.difference is not None
    assert (str(row.error.agreement), str(row.difference.agreement)) == (error, difference)


def test_numbers(rows: Rows) -> None:
    row = rows(around(18.0, TIGHT), 18.1)["product"]
    assert row.source == "Table 9, row 2"
    assert row.runs == (5, 5)
    assert row.error is not None
    assert row.difference is not None
    assert (row.error.printed, row.error.ours) == (18.1, pytest.approx(18.0))
    assert (row.difference.printed, row.difference.ours) == pytest.approx((-1.9, -2.0))
    sd = math.hypot(np.std(TIGHT, ddof=1), np.std(TIGHT, ddof=1))
    half = 2.7764 * sd * math.sqrt(1 + 1 / 5)  # 97.5 % of Student's t with 4 degrees of freedom
    assert row.difference.interval == pytest.approx((-2 - half, -2 + half), abs=1e-4)


def test_the_baseline_has_no_difference_to_itself(rows: Rows) -> None:
    row = rows([], 18.0)["residual"]
    assert row.difference is None
    assert row.error is not None
    assert row.error.agreement is Agreement.MATCHES


def test_differences_are_those_within_families(make_plan: MakePlan, finish: Finish) -> None:
    axes = {"r": {"path": "model.conv.reduction", "values": {"a": 2, "b": 4, "x": 8, "y": 16}}}
    errors = {"a": 20.0, "b": 18.0, "x": 60.0, "y": 57.0}
    changes: dict[str, Any] = {
        "axes": axes,
        "baseline": "a",
        "other_baselines": {"x": ["y"]},
        "paper": {
            name: {"source": "Table 9", "top1_error": error} for name, error in errors.items()
        },
    }
    for run in make_plan(**changes).runs:
        finish(run, errors[run.cell])
    plan = make_plan(**changes)
    rows = reproduce(plan, collect(plan), {})
    found = {
        row.cell: row.difference and (row.difference.printed, row.difference.ours) for row in rows
    }
    assert found == {"a": None, "b": (-2.0, -2.0), "x": None, "y": (-3.0, -3.0)}


@pytest.mark.parametrize("width", [80, 200])
def test_names_are_broken_at_their_hyphens(rows: Rows, width: int) -> None:
    row = replace(rows([18.0], 18.1)["product"], cell="AW-CBAM-ResNet101-MaxPool")
    file = io.StringIO()
    show_reproduction(Console(file=file, width=width), [row])
    printed = file.getvalue()
    firsts = [line.split()[0] for line in printed.splitlines() if not line.startswith(" ")][1:]
    narrow = ["AW-CBAM-", "ResNet101-", "MaxPool"]
    assert firsts == (narrow if width == 80 else [row.cell])
    assert all(len(line) <= width for line in printed.splitlines())


def test_what_is_not_printed_is_not_compared(rows: Rows) -> None:
    row = rows(around(18.0, TIGHT), None)["product"]
    assert (row.error, row.difference) == (None, None)
    assert [cost.verdict for cost in row.costs] == ["match"]


def test_only_cells_that_run_and_are_published_have_rows(make_plan: MakePlan) -> None:
    plan = make_plan(
        paper={"residual": RESIDUAL, "product": RESIDUAL},
        exclude=[{"when": {"f2": "product"}, "reason": "why"}],
    )
    assert [row.cell for row in reproduce(plan, collect(plan), {})] == ["residual"]


def test_costs_are_known_before_anything_is_run(make_plan: MakePlan) -> None:
    plan = make_plan(paper={"residual": RESIDUAL, "product": RESIDUAL})
    cost = Cost(verdict="differs")
    found = reproduce(plan, collect(plan), {"residual": [cost]})
    text = io.StringIO()
    show_reproduction(Console(file=text, width=120), found)
    shown = text.getvalue()
    assert "printed 8.43" in shown
    assert "differs" in shown
    assert shown.count("not run here") == 3, "two errors and one difference"


def test_what_is_printed(rows: Rows) -> None:
    text = io.StringIO()
    found = list(rows(around(18.0, TIGHT), 15.0).values())
    show_reproduction(Console(file=text, width=120), found)
    shown = text.getvalue()
    lines = shown.splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("product"))
    assert lines[row].split()[2:5] == ["\N{MINUS SIGN}2.00", "18.00", "8.43"]
    under = "printed \N{MINUS SIGN}5.00  printed 15.00  printed 8.43"
    assert " ".join(lines[row + 1].split()) == " ".join(under.split())
    assert shown.index("difference, pp") < shown.index("mean, %") < shown.index("parameters, M")


def test_plain_data(rows: Rows) -> None:
    document = rows(around(18.0, TIGHT), 18.1)["product"].to_json()
    assert json.loads(json.dumps(document, allow_nan=False))["costs"][0]["verdict"] == "match"
    assert document["error"]["agreement"] == "matches"


@pytest.mark.parametrize("n", [2, 5, 9])
def test_a_prediction_interval_covers_one_more_run(n: int) -> None:
    """0.95 within four standard errors of 20,000 draws."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(20_000, n + 1))
    found = [
        prediction_interval(Sample(n, float(row.mean()), float(row.std(ddof=1)), None))
        for row in draws[:, :n]
    ]
    inside = [low <= new <= high for (low, high), new in zip(found, draws[:, n], strict=True)]  # pyright: ignore[reportGeneralTypeIssues]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.007)
