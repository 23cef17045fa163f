from dataclasses import replace

import numpy as np
import pytest

from awlab.report import wording
from awlab.report.results import Results
from awlab.statistics import compare
from awlab.statistics.significance import describe


def study(runs: dict[str, list[float]], seeds: int, metric: str = "test/top1_error") -> Results:
    by_seed = {name: dict(enumerate(values)) for name, values in runs.items()}
    comparison = compare(by_seed, baseline="base", seeds=range(seeds), direction="min")
    return Results("study", metric, comparison)


def verdicts(results: Results) -> list[str]:
    return [wording.verdict(cell, results) for cell in results.cells]


def test_verdicts(results: Results) -> None:
    assert verdicts(results) == [
        "baseline",
        "better",
        # sd .267 x 1.92: one pattern of 128 is left to each of four comparisons
        "no difference shown (could only see \N{GREATER-THAN OR EQUAL TO} 0.51 pp)",
        "worse",
        "not tested: seed 2 diverged, seed 3 not finished",
        "same network as plain",
    ]


def test_verdict_of_another_unit() -> None:
    found = study({"base": [0.0] * 8, "cell": [0.03, -0.02] * 4}, 8, metric="test/loss")
    assert verdicts(found)[1].endswith("(could only see \N{GREATER-THAN OR EQUAL TO} 0.0313)")


def test_verdict_of_equal_results() -> None:
    found = study({"base": [1.0] * 6, "cell": [1.0] * 6}, 6)
    assert verdicts(found) == ["baseline", "no difference shown (equal in every seed)"]


def test_verdict_of_few_seeds() -> None:
    found = study({"base": [1.0] * 5, "cell": [0.0] * 5}, 5)
    assert verdicts(found) == ["baseline", "too few seeds to say"]


def test_verdict_without_a_baseline() -> None:
    found = study({"base": [1.0], "cell": [0.0] * 12, "none": []}, 12)
    assert verdicts(found) == [
        "baseline (11 seeds not finished)",
        "not tested: the baseline lacks seeds",
        "not tested: 12 seeds not finished",
    ]


def test_numbers(results: Results) -> None:
    loss = replace(results, metric="test/loss")
    assert wording.number(28.014, results) == "28.01"
    assert wording.number(-0.5, results, signed=True) == "\N{MINUS SIGN}0.50"
    assert wording.number(-0.001, results, signed=True) == "+0.00"
    assert wording.number(0.98765, loss) == "0.9877"


@pytest.mark.parametrize(
    ("values", "text"),
    [([], "\N{EN DASH}"), ([28.0], "28.00"), ([27.0, 29.0], "28.00 \N{PLUS-MINUS SIGN} 12.71")],
)
def test_mean_with_interval(results: Results, values: list[float], text: str) -> None:
    assert wording.with_interval(describe(values), results) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(1.0, "1"), (0.0625, "0.0625"), (0.04976, "0.0498"), (0.001, "0.001"), (0.00098, "<0.001")],
)
def test_p_values(p: float, text: str) -> None:
    assert wording.p_value(p) == text


def test_runs(results: Results) -> None:
    texts = [wording.runs(cell) for cell in results.cells]
    assert texts == ["8", "8", "8", "8", "6/8", "\N{EN DASH}"]


def test_notes_say_how_numbers_were_found(results: Results) -> None:
    interval, test, correlation, bold = wording.notes(results)
    assert "half the width of the 95 % t interval" in interval
    assert "baseline plain, paired by seed" in test
    assert "Holm's method for 4 comparisons" in test
    assert "family-wise error of at most 5 %" in test
    steps = np.arange(8) / 10
    low, high = (np.corrcoef(steps, steps + [a, b] * 4)[0, 1] for a, b in [(0.3, -0.2), (0, 0.1)])
    assert correlation == (
        f"Correlation of the paired runs: {low:.2f} to {high:.2f}; above 0, pairing narrows the "
        "intervals."
    )
    assert bold == "Bold: shown to be better than the baseline."


def test_notes_of_a_baseline_alone() -> None:
    assert len(list(wording.notes(study({"base": [1.0, 2.0]}, 2)))) == 1


def test_notes_mention_bold_and_correlation_only_where_there_are_any() -> None:
    assert len(list(wording.notes(study({"base": [1.0, 2.0], "cell": [0.0, 1.0]}, 2)))) == 2


@pytest.mark.parametrize(("split", "warned"), [("test", True), ("val", False), (None, False)])
def test_warning_where_the_judge_chose_the_epoch(
    results: Results, split: str | None, warned: bool
) -> None:
    found = list(wording.warnings(replace(results, epoch_chosen_on=split)))
    text = "The test set chose the epoch that it then judged: test/top1_error looks better than it"
    assert any(text in warning for warning in found) == warned


def test_warning_of_missing_runs(results: Results) -> None:
    assert list(wording.warnings(results)) == [
        "Cells that lack runs: 1 of 5. Comparisons not tested: 1 of 4."
    ]


def test_warning_of_too_few_seeds() -> None:
    found = study({"base": [1.0] * 5, **{name: [0.0] * 5 for name in "abcd"}}, 5)
    assert list(wording.warnings(found)) == [
        "With 5 seeds no p below 0.0625 is possible; 4 comparisons need 8 seeds for any verdict."
    ]


def test_families_are_listed_with_their_baselines() -> None:
    runs = {name: dict(enumerate([1.0, 2.0])) for name in ["a", "b", "x", "y", "z"]}
    references = dict.fromkeys(["x", "y", "z"], "x")
    comparison = compare(runs, baseline="a", seeds=range(2), direction="min", references=references)
    results = Results("study", "test/loss", comparison)
    assert verdicts(results)[::2] == ["baseline", "baseline", "too few seeds to say"]
    _, test = wording.notes(results)
    assert "Differences are to the baseline a, but to x for y; z, paired by seed." in test
    assert "Holm's method for 3 comparisons" in test
