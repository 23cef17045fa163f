import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from awlab.report.headline import headline, metric_in_words
from awlab.report.results import Results
from awlab.statistics import compare

DOT = "\N{MIDDLE DOT}"
BASE = [28.0 + 0.1 * seed for seed in range(8)]


def study(
    *, metric: str = "test/top1_error", seeds: int = 8, **shifts: Sequence[float | str]
) -> Results:
    """A baseline and cells that differ from it by these numbers, seed by seed."""
    runs: dict[str, dict[int, float | str | None]] = {"plain": dict(enumerate(BASE[:seeds]))}
    for name, shift in shifts.items():
        pairs = zip(BASE[:seeds], shift, strict=False)
        runs[name] = {s: d if isinstance(d, str) else b + d for s, (b, d) in enumerate(pairs)}
    comparison = compare(runs, baseline="plain", seeds=range(seeds), direction="min")
    return Results("study", metric, comparison)


BETTER, WORSE, UNCLEAR = [-1.0, -1.1] * 4, [0.5, 0.6] * 4, [0.3, -0.2] * 4


@pytest.mark.parametrize(
    ("results", "lead"),
    [
        (
            study(aw=BETTER, se=UNCLEAR),
            (
                "aw is better than plain: it lowers the top-1 error on the test set by 1.05 pp "
                "(95 % interval 1.01 to 1.09)."
            ),
        ),
        (
            study(aw=WORSE),
            (
                "aw is worse than plain: it raises the top-1 error on the test set by 0.55 pp "
                "(95 % interval 0.51 to 0.59)."
            ),
        ),
        (study(aw=BETTER, se=BETTER, aa=WORSE), "aw and se are better than plain."),
        (study(a=BETTER, b=BETTER, c=BETTER), "a, b and c are better than plain."),
        (study(a=WORSE, b=UNCLEAR, c=WORSE), "a and c are worse than plain."),
        (
            study(a=BETTER, b=BETTER, c=BETTER, d=BETTER, e=UNCLEAR),
            "4 of 5 variants are better than plain.",
        ),
        (study(a=UNCLEAR, b=UNCLEAR), "No difference to plain is shown."),
        (
            study(a=BETTER, seeds=2),
            "2 seeds are too few to say whether any variant differs from plain.",
        ),
        (
            study(a=BETTER, seeds=1),
            "1 seed is too few to say whether any variant differs from plain.",
        ),
        (study(a=["diverged"] * 8), "No variant can be compared with plain yet: all lack runs."),
        (
            study(),
            (
                "A single cell has nothing to be compared with: its top-1 error on the test set is "
                "28.35 \N{PLUS-MINUS SIGN} 0.20 %."
            ),
        ),
    ],
)
def test_leads(results: Results, lead: str) -> None:
    assert headline(results).lead == lead


def test_a_metric_that_is_better_when_high() -> None:
    results = study(aw=[0.01, 0.02] * 4, metric="val/mean_precision")
    comparison = compare(
        {cell.name: dict(cell.by_seed) for cell in results.comparison.cells},
        baseline="plain",
        seeds=range(8),
        direction="max",
    )
    assert headline(replace(results, comparison=comparison)).lead == (
        "aw is better than plain: it raises the mean precision on the validation set by 0.0150 "
        "(95 % interval 0.0105 to 0.0195)."
    )


def test_nothing_finished() -> None:
    comparison = compare({"a": {}, "b": {}}, baseline="a", seeds=[0], direction="min")
    found = headline(Results("study", "val/loss", comparison))
    assert found.lead == "No run of this study is finished yet."
    assert found.verdicts == {"not tested": ["b"]}


def test_a_baseline_that_lacks_runs() -> None:
    runs: dict[str, dict[int, float | str | None]] = {"a": {0: "failed: disk full"}, "b": {0: 1.0}}
    comparison = compare(runs, baseline="a", seeds=[0], direction="min")
    assert headline(Results("study", "val/loss", comparison)).lead == (
        "Nothing can be compared yet: the baseline a lacks runs (seed 0 failed: disk full)."
    )


def test_long_names_are_left_to_the_list() -> None:
    long = "x" * 41
    two: dict[str, Any] = {long: BETTER, "b": BETTER}
    assert headline(study(**two)).lead == "2 of 2 variants are better than plain."
    one: dict[str, Any] = {long: WORSE}
    assert headline(study(**one)).lead.startswith("1 of 1 variants is worse than plain: it raises")
    renamed = replace(study(aw=BETTER), labels={"plain": {"a": long}, "aw": {"a": "aw"}})
    assert headline(renamed).lead.startswith("aw is better than the baseline: it lowers")
    runs: dict[str, dict[int, float | str | None]] = {long: {}, "b": {0: 1.0}}
    comparison = compare(runs, baseline=long, seeds=[0], direction="min")
    assert headline(Results("study", "val/loss", comparison)).lead == (
        "Nothing can be compared yet: the baseline lacks runs (seed 0 not finished)."
    )


def test_the_best_of_several_is_named_and_not_crowned() -> None:
    more = [shift - 1 for shift in BETTER]
    assert headline(study(aw=BETTER, se=more, aa=WORSE)).detail == (
        "Of these, se has the lowest mean: it lowers the top-1 error on the test set by 2.05 pp "
        "(95 % interval 2.01 to 2.09). Which of them is best is not tested."
    )


@pytest.mark.parametrize("results", [study(aw=BETTER), study(aw=WORSE, se=WORSE), study()])
def test_otherwise_there_is_no_detail(results: Results) -> None:
    assert headline(results).detail == ""


def test_every_cell_stands_under_its_verdict(results: Results) -> None:
    assert headline(results).verdicts == {
        "better": ["aw"],
        "worse": ["aa"],
        "no difference shown": ["se"],
        "not tested": ["cbam"],
    }


def test_cells_of_several_axes_are_named_by_their_labels(results: Results) -> None:
    labels = {name: {"a": name[10:13], "f2": str(k)} for k, name in enumerate(results.labels)}
    assert (
        f"se, {DOT} 2" in headline(replace(results, labels=labels)).verdicts["no difference shown"]
    )


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("test/top1_error", "top-1 error on the test set"),
        ("val/loss", "loss on the validation set"),
        ("test/mean_precision", "mean precision on the test set"),
    ],
)
def test_metrics_in_words(metric: str, words: str) -> None:
    assert metric_in_words(metric) == words


def families(**shifts: Any) -> Results:
    """Cells that differ from `plain`; those whose names begin with x belong to the baseline `x`."""
    results = study(x=[1.0] * 8, **shifts)
    runs = {cell.name: {**cell.by_seed, **cell.missing} for cell in results.comparison.cells}
    own = {name: "x" for name in runs if name.startswith("x")}
    comparison = compare(runs, baseline="plain", seeds=range(8), direction="min", references=own)
    return replace(results, comparison=comparison)


@pytest.mark.parametrize(
    ("results", "lead"),
    [
        (
            families(a=UNCLEAR, x1=[0.5, 0.4] * 4),
            (
                "x1 is better than x: it lowers the top-1 error on the test set by 0.55 pp "
                "(95 % interval 0.51 to 0.59)."
            ),
        ),
        (families(a=BETTER, x1=UNCLEAR), "a and x1 are better than their baselines."),
        (families(a=UNCLEAR, x1=[1.1, 0.8] * 4), "No difference to the baseline is shown."),
        (families(a=UNCLEAR, x1=["failed"] * 8), "No difference to plain is shown."),
    ],
)
def test_each_family_has_its_baseline(results: Results, lead: str) -> None:
    found = headline(results)
    assert found.lead == lead
    assert found.detail == "", "means of two families are not ranked"
    assert "x" not in [name for names in found.verdicts.values() for name in names]


def test_all_baselines_lack_runs() -> None:
    comparison = compare(
        {"a": {}, "b": {0: 1.0}, "c": {0: math.nan}, "d": {0: 1.0}},
        baseline="a",
        seeds=[0],
        direction="min",
        references={"c": "c", "d": "c"},
    )
    assert headline(Results("study", "val/loss", comparison)).lead == (
        "Nothing can be compared yet: the baseline a lacks runs (seed 0 not finished); the "
        "baseline c lacks runs (seed 0 diverged)."
    )
