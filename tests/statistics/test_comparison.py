import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from awlab.statistics import Comparison, Difference, Verdict, compare
from awlab.statistics.significance import describe

SEEDS = range(8)
BASE = {seed: 28.0 + 0.1 * seed for seed in SEEDS}
LOWER = {seed: value - 0.5 - 0.01 * seed for seed, value in BASE.items()}
HIGHER = {seed: value + 0.5 + 0.01 * seed for seed, value in BASE.items()}
MIXED = {seed: value + (-1) ** seed * 0.2 for seed, value in BASE.items()}
STUDY = {"lower": LOWER, "base": BASE, "higher": HIGHER, "mixed": MIXED}


def comparison(runs: dict[str, dict], seeds: range = SEEDS, **settings: object) -> Comparison:
    arguments = {"baseline": "base", "seeds": seeds, "direction": "min", **settings}
    return compare(runs, **arguments)


def difference(found: Comparison, name: str) -> Difference:
    difference = found[name].difference
    assert difference is not None
    return difference


@pytest.mark.parametrize(
    ("direction", "good", "bad"), [("min", "lower", "higher"), ("max", "higher", "lower")]
)
def test_verdicts(direction: str, good: str, bad: str) -> None:
    found = comparison(STUDY, direction=direction)
    assert difference(found, good).verdict is Verdict.BETTER
    assert difference(found, bad).verdict is Verdict.WORSE
    assert difference(found, "mixed").verdict is Verdict.NO_DIFFERENCE_SHOWN
    assert found["base"].difference is None
    assert [cell.name for cell in found.cells] == list(STUDY)
    assert found.family == 3


def test_numbers_of_a_difference() -> None:
    found = difference(comparison(STUDY), "mixed")
    values, base = list(MIXED.values()), list(BASE.values())
    related = stats.ttest_rel(values, base)
    assert found.paired.sample.mean == pytest.approx(0)
    assert found.paired.sample.interval == pytest.approx(related.confidence_interval(0.95))
    assert found.paired.t_p == pytest.approx(related.pvalue)
    assert found.correlation == pytest.approx(stats.pearsonr(values, base)[0])
    # 3 comparisons leave 2 of the 128 mirrored patterns: the t test's limit at 2 / 128
    assert found.could_see == pytest.approx(1.47 * np.std([0.2, -0.2] * 4, ddof=1), rel=0.01)


def test_holm_counts_every_cell_of_the_study() -> None:
    found = comparison(STUDY)
    assert difference(found, "lower").paired.sign_flip_p == 2 / 256
    assert difference(found, "lower").holm_p == 3 * 2 / 256
    assert difference(found, "mixed").holm_p == 1


def test_five_seeds_are_too_few_however_large_the_difference() -> None:
    runs = {
        "base": dict.fromkeys(range(5), 90.0),
        "cell": {seed: 1.0 + seed for seed in range(5)},
    }
    found = difference(comparison(runs, range(5)), "cell")
    assert found.paired.sign_flip_p == 0.0625
    assert found.verdict is Verdict.TOO_FEW_SEEDS
    assert found.could_see is None
    assert found.paired.sample.interval == pytest.approx((-88.96, -85.04), abs=0.01)


def test_seeds_that_suffice_for_one_comparison_are_too_few_for_seven() -> None:
    few = {"base": BASE, **{f"cell {i}": LOWER for i in range(6)}}
    many = {**few, "one more": HIGHER}
    assert difference(comparison(few), "cell 0").verdict is Verdict.BETTER
    assert difference(comparison(many), "cell 0").verdict is Verdict.TOO_FEW_SEEDS


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not finished"),
        (math.nan, "diverged"),
        (math.inf, "diverged"),
        (-math.inf, "diverged"),
        ("failed: disk full", "failed: disk full"),
    ],
)
def test_a_cell_that_lacks_a_seed_stays_and_is_not_tested(
    value: float | str | None, reason: str
) -> None:
    found = comparison({**STUDY, "lower": {**LOWER, 3: value}})
    cell = found["lower"]
    assert len(found.cells) == 4
    assert cell.missing == {3: reason}
    assert cell.difference is None
    assert cell.sample == describe([LOWER[seed] for seed in SEEDS if seed != 3])
    assert difference(found, "higher").holm_p == 3 * 2 / 256, "the family does not shrink"


def test_an_absent_seed_is_missing() -> None:
    found = comparison({**STUDY, "lower": {0: 1.0}, "mixed": {}})
    assert list(found["lower"].missing) == [1, 2, 3, 4, 5, 6, 7]
    assert found["mixed"].sample == describe([])
    assert len(found["mixed"].missing) == 8


def test_a_baseline_that_lacks_a_seed_leaves_nothing_tested() -> None:
    found = comparison({**STUDY, "base": {**BASE, 7: math.nan}})
    assert all(cell.difference is None for cell in found.cells)
    assert found["base"].missing == {7: "diverged"}
    assert found["lower"].missing == {}


def test_one_seed() -> None:
    found = comparison({"base": {0: 28.0}, "cell": {0: 27.0}}, range(1))
    cell = difference(found, "cell")
    assert cell.verdict is Verdict.TOO_FEW_SEEDS
    assert (cell.paired.sample.mean, cell.paired.sample.interval) == (-1.0, None)
    assert (cell.paired.t_p, cell.correlation, cell.could_see) == (None, None, None)


def test_equal_results_show_no_difference() -> None:
    found = difference(comparison({"base": BASE, "same": dict(BASE)}), "same")
    assert found.verdict is Verdict.NO_DIFFERENCE_SHOWN
    assert (found.paired.sign_flip_p, found.paired.t_p, found.could_see) == (1, 1, 0)
    assert found.correlation == pytest.approx(1)


def test_a_constant_cell_has_no_correlation() -> None:
    assert (
        difference(
            comparison({"base": BASE, "flat": dict.fromkeys(SEEDS, 0.1)}), "flat"
        ).correlation
        is None
    )


def test_a_study_of_the_baseline_alone() -> None:
    found = comparison({"base": BASE})
    assert found.family == 0
    assert found["base"].sample.n == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline": "bsae"}, r"baseline \(='bsae'\) must be one of the cells \['lower', 'base'"),
        ({"seeds": []}, r"seeds \(=\[\]\) must name at least one seed, and each once"),
        (
            {"seeds": [0, 1, 1]},
            r"seeds \(=\[0, 1, 1\]\) must name at least one seed, and each once",
        ),
        (
            {"seeds": range(6)},
            r"cell 'lower' has seeds \[6, 7\] that are not in \[0, 1, 2, 3, 4, 5\]",
        ),
        ({"direction": "up"}, r"direction \(='up'\) must be one of \('min', 'max'\)"),
        ({"confidence": 95}, r"confidence \(=95\) must be between 0 and 1"),
        ({"alpha": 0.0}, r"alpha \(=0.0\) must be between 0 and 1"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        comparison(STUDY, **change)  # pyright: ignore[reportArgumentType]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.lists(st.none() | st.floats(-100, 100) | st.just(math.nan), min_size=6, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_any_study_has_all_cells_and_only_finite_numbers(rows: list[list[float | None]]) -> None:
    runs = {"base" if i == 0 else f"cell {i}": dict(enumerate(row)) for i, row in enumerate(rows)}
    found = comparison(runs, range(6))
    assert len(found.cells) == len(rows)
    for cell in found.cells:
        assert cell.sample.n + len(cell.missing) == 6
        if cell.difference is not None:
            assert not cell.missing
            p_values = (cell.difference.holm_p, cell.difference.paired.sign_flip_p)
            assert 0 < p_values[1] <= p_values[0] <= 1
            assert math.isfinite(cell.difference.paired.sample.mean or 0)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(-100, 100), min_size=16, max_size=16))
def test_mirrored_metric_and_direction_give_the_same_verdict(numbers: list[int]) -> None:
    runs = {"base": dict(enumerate(numbers[:8])), "cell": dict(enumerate(numbers[8:]))}
    mirrored = {name: {k: -v for k, v in values.items()} for name, values in runs.items()}
    one, other = comparison(runs), comparison(mirrored, direction="max")
    assert difference(one, "cell").verdict is difference(other, "cell").verdict
    assert difference(one, "cell").holm_p == difference(other, "cell").holm_p


def test_false_verdicts_in_studies_without_a_difference() -> None:
    # Four cells against one baseline, so the comparisons are dependent, as in a real study.
    studies = np.random.default_rng(0).normal(28.0, 0.3, size=(1000, 5, 8))
    wrong = 0
    for study in studies:
        found = comparison(
            {name: dict(enumerate(row)) for name, row in zip(["base", *"abcd"], study, strict=True)}
        )
        wrong += any(
            difference(found, name).verdict in {Verdict.BETTER, Verdict.WORSE} for name in "abcd"
        )
    # not above .05, and not far below what four comparisons at 2 / 256 allow: .03
    assert 0.015 < wrong / len(studies) <= 0.05


def test_a_family_is_compared_with_its_own_baseline() -> None:
    other = {seed: value + 40 for seed, value in BASE.items()}
    lower = {seed: value + 40 for seed, value in LOWER.items()}
    found = comparison(
        {**STUDY, "other": other, "low": lower}, references={"other": "other", "low": "other"}
    )
    assert found.baselines == ("base", "other")
    assert found["other"].difference is None
    assert difference(found, "low").paired.sample.mean == pytest.approx(-0.535)
    assert difference(found, "low").verdict is Verdict.BETTER
    assert found.family == 4
    assert difference(found, "low").holm_p == 4 * 2 / 256, "all comparisons are one family"
    names = ["base", "lower", "other", "low"]
    assert [found.reference_of(name) for name in names] == ["base", "base", "other", "other"]


def test_a_baseline_that_lacks_a_seed_costs_its_own_family_alone() -> None:
    runs = {**STUDY, "other": {**BASE, 0: "failed"}, "low": LOWER}
    found = comparison(runs, references={"other": "other", "low": "other"})
    assert found["low"].difference is None
    assert difference(found, "lower").verdict is Verdict.BETTER


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ({"lower": "nobody"}, r"references name \['nobody'\]; expected some of \['lower', 'base'"),
        ({"base": "lower", "lower": "lower"}, r"baselines \['base'\] must have themselves as ref"),
        ({"lower": "higher"}, r"baselines \['higher'\] must have themselves as reference"),
    ],
)
def test_references_that_make_no_sense(references: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        comparison(STUDY, references=references)
