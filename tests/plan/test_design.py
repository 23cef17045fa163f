import pytest

from awlab.plan.design import design
from awlab.spec.errors import SpecError

TWO = {"path": "model.conv.min_hidden", "values": [1, 4]}


def test_full_factorial_takes_all_combinations_in_order(study):
    assert list(design(study()).cells) == [
        "f2=residual,r=8",
        "f2=residual,r=16",
        "f2=residual,r=32",
        "f2=product,r=8",
        "f2=product,r=16",
        "f2=product,r=32",
    ]


def test_one_factor_at_a_time_changes_one_axis_of_the_baseline(study):
    drawn = design(study(design="one_factor_at_a_time"))
    assert list(drawn.cells) == [
        "f2=residual,r=16",
        "f2=product,r=16",
        "f2=residual,r=8",
        "f2=residual,r=32",
    ]
    assert drawn.baseline == "f2=residual,r=16"


def test_leave_one_out_takes_each_axis_away_once(study):
    axes = {"f2": study().axes["f2"], "hidden": TWO}
    drawn = design(
        study(axes=axes, design="leave_one_out", baseline={"f2": "residual", "hidden": 1})
    )
    assert list(drawn.cells) == [
        "f2=residual,hidden=1",
        "f2=product,hidden=1",
        "f2=residual,hidden=4",
    ]


def test_a_list_has_the_included_cells_alone(study):
    cells = ["f2=residual,r=16", {"f2": "product", "r": 8}, {"r": 32}]
    drawn = design(study(design="list", include=cells))
    assert list(drawn.cells) == ["f2=residual,r=16", "f2=product,r=8", "f2=residual,r=32"]


def test_included_cells_come_last_and_borrow_from_the_baseline(study):
    drawn = design(study(design="one_factor_at_a_time", include=[{"f2": "product", "r": 8}]))
    assert list(drawn.cells)[-1] == "f2=product,r=8"
    assert len(drawn.cells) == 5


def test_excluded_cells_keep_their_place_and_the_first_reason(study):
    drawn = design(
        study(
            exclude=[
                {"when": {"f2": "product", "r": [8, 32]}, "reason": "first"},
                {"when": {"r": 8}, "reason": "second"},
            ]
        )
    )
    assert drawn.excluded == {
        "f2=product,r=8": "first",
        "f2=product,r=32": "first",
        "f2=residual,r=8": "second",
    }
    assert len(drawn.cells) == 6


def test_published_results_are_found_in_any_spelling(study):
    drawn = design(study(paper={"r=8,f2=product": {"source": "Table 1"}}))
    assert drawn.paper == {"f2=product,r=8": "r=8,f2=product"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "axes": {
                    "a": {"path": "model.conv", "values": [None]},
                    "b": {"path": "model.conv.f2", "values": ["product"]},
                }
            },
            (
                "axes.b.path: model.conv.f2 and model.conv of axis a are one node or nested; vary "
                "them by one axis at model.conv"
            ),
        ),
        (
            {
                "axes": {
                    "a": {"path": "model.depth", "values": [18]},
                    "b": {"path": "model.depth", "values": [50]},
                }
            },
            "axes.b.path: model.depth and model.depth of axis a are one node",
        ),
        (
            {
                "axes": {
                    "a": {"path": ".", "values": [{"model": {}}]},
                    "b": {"path": "model.depth", "values": [50]},
                }
            },
            "model.depth and model of axis a are one node or nested",
        ),
        ({"baseline": {"f2": "residual"}}, "baseline: 'f2=residual' names no value of r"),
        ({"baseline": "residual"}, "baseline: 'residual' is no cell"),
        (
            {"baseline": {"f2": "residual", "r": 17}},
            "baseline.r: axis r has no value '17'; expected one of 8, 16, 32",
        ),
        (
            {"design": "list", "include": [{"f2": "product"}]},
            "baseline: f2=residual,r=16 is not among the cells under 'include'",
        ),
        (
            {"exclude": [{"when": {"r": 16}, "reason": "dull"}]},
            "baseline: f2=residual,r=16 is excluded: dull",
        ),
        (
            {"other_baselines": {"f2=residual,r=8": ["f2=product,r=9"]}},
            "other_baselines.f2=residual,r=8.0.r: axis r has no value '9'",
        ),
        (
            {"other_baselines": {"r=8": ["f2=product,r=8"]}},
            "other_baselines.r=8: 'r=8' names no value of f2",
        ),
        (
            {
                "design": "one_factor_at_a_time",
                "other_baselines": {"f2=product,r=16": ["f2=product,r=8"]},
            },
            "other_baselines.f2=product,r=16.0: f2=product,r=8 is not a cell of the study",
        ),
        (
            {
                "exclude": [{"when": {"r": 8}, "reason": "dull"}],
                "other_baselines": {"f2=residual,r=8": ["f2=product,r=32"]},
            },
            "other_baselines.f2=residual,r=8: f2=residual,r=8 is excluded: dull",
        ),
        (
            {"other_baselines": {"f2=product,r=8": ["f2=residual,r=16"]}},
            "0: f2=residual,r=16 is a baseline, or compared with one, already",
        ),
        (
            {"other_baselines": {"f2=product,r=8": ["r=32,f2=product", "f2=product,r=32"]}},
            "1: f2=product,r=32 is a baseline, or compared with one, already",
        ),
        ({"design": "list"}, "design: list runs the cells under 'include', and there are none"),
        (
            {"design": "leave_one_out"},
            "axes.r.values: leave_one_out needs two values, with and without, not 3",
        ),
        (
            {"include": ["f2=product,r=8"]},
            "include.0: f2=product,r=8 is a cell of the study already",
        ),
        ({"include": ["f2=produkt"]}, "include.0.f2: axis f2 has no value 'produkt'"),
        (
            {"exclude": [{"when": {"f22": "product"}, "reason": "x"}]},
            "exclude.0.when.f22: no axis 'f22'; expected one of f2, r. Did you mean 'f2'?",
        ),
        (
            {
                "design": "one_factor_at_a_time",
                "exclude": [{"when": {"f2": "product", "r": 8}, "reason": "x"}],
            },
            "exclude.0.when: no cell of the study is excluded by this",
        ),
        ({"paper": {"f2=product,r=9": {"source": "x"}}}, "axis r has no value '9'"),
        (
            {
                "design": "one_factor_at_a_time",
                "paper": {"f2=product,r=8": {"source": "x"}},
            },
            "f2=product,r=8 is not a cell of the study",
        ),
        (
            {"paper": {"f2=product,r=8": {"source": "x"}, "r=8,f2=product": {"source": "x"}}},
            "f2=product,r=8 has two published results",
        ),
        (
            {
                "axes": {
                    "a": {"path": "model.width", "values": list(range(1, 200))},
                    "b": {"path": "training.epochs", "values": list(range(1, 500))},
                }
            },
            "axes: 99301 cells with 2 seeds are more than 100000 runs",
        ),
    ],
)
def test_what_is_wrong_is_said(study, changes, message):
    with pytest.raises(SpecError) as caught:
        design(study(**changes))
    assert message in str(caught.value)


def test_a_family_has_a_baseline_of_its_own(study):
    drawn = design(
        study(other_baselines={"r=8,f2=product": [{"r": 8, "f2": "residual"}, "f2=product,r=32"]})
    )
    assert drawn.references == {
        "f2=product,r=8": "f2=product,r=8",
        "f2=residual,r=8": "f2=product,r=8",
        "f2=product,r=32": "f2=product,r=8",
    }


def test_all_that_is_wrong_is_said_at_once(study):
    with pytest.raises(SpecError) as caught:
        design(
            study(
                include=["f2=produkt", "f2=product"],
                exclude=[{"when": {"r": 9}, "reason": "x"}],
                paper={"r=1": {"source": "x"}},
            )
        )
    assert len(caught.value.problems) == 5
