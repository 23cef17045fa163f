from dataclasses import replace

import pytest

from awlab.report.results import CellFacts, Results
from awlab.statistics import compare

PLAIN, AW, ECA = (f"attention={name},f2=residual" for name in ("plain", "aw", "eca"))


def test_shared_labels_are_those_of_all_cells(results: Results) -> None:
    assert results.shared_labels == {"f2": "residual"}
    assert results.varied_labels(AW) == {"attention": "aw"}


def test_one_differing_cell_makes_an_axis_varied(results: Results) -> None:
    labels = {**results.labels, ECA: {"attention": "eca", "f2": "product"}}
    varied = replace(results, labels=labels)
    assert varied.shared_labels == {}
    assert varied.varied_labels(AW) == {"attention": "aw", "f2": "residual"}


def test_a_cell_alone_keeps_its_labels() -> None:
    comparison = compare({"a": {0: 1.0}}, baseline="a", seeds=[0], direction="min")
    assert Results("alone", "val/loss", comparison).varied_labels("a") == {"cell": "a"}


def test_cells_that_another_one_stands_for_come_last_and_have_no_numbers(results: Results) -> None:
    *_, cbam, twin = results.cells
    assert (cbam.sample.n, cbam.name) == (6, "attention=cbam,f2=residual")
    assert (twin.name, twin.sample.n, twin.difference) == (ECA, 0, None)


def test_published_difference(results: Results) -> None:
    assert results.published_difference(AW) == pytest.approx(-1.87)
    assert results.published_difference(PLAIN) is None
    assert results.published_difference("attention=se,f2=residual") is None
    alone = replace(results, facts={AW: CellFacts(published=26.14)})
    assert alone.published_difference(AW) is None


@pytest.mark.parametrize(("metric", "percent"), [("test/top1_error", True), ("test/loss", False)])
def test_errors_are_percent(results: Results, metric: str, percent: bool) -> None:
    assert replace(results, metric=metric).is_percent == percent


@pytest.mark.parametrize(
    ("same_as", "message"),
    [({AW: PLAIN}, "a cell is run, or another"), ({ECA: "gone"}, "stands for others is run")],
)
def test_twins_are_of_cells_that_run(
    results: Results, same_as: dict[str, str], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        replace(results, same_as=same_as)


def test_cells_have_the_same_axes(results: Results) -> None:
    with pytest.raises(AssertionError, match="all cells have the same axes"):
        replace(results, labels={AW: {"attention": "aw"}})
