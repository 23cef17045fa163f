import pytest

from awlab.report.figures.forest import Interval, Item, forest
from awlab.statistics import Sample
from awlab.statistics.significance import describe, pair


def item(name: str, *values: float, published: float | None = None) -> Item:
    return Item.of(
        name, pair(dict(enumerate(values)), dict.fromkeys(range(len(values)), 0.0)), published
    )


NOTHING = Item("nothing", describe([]), {})


def test_places_follow_from_one_axis() -> None:
    found = forest([item("a", -2.0, -2.0), item("b", 2.0, 2.0, published=1.0), NOTHING])
    assert found is not None
    first, second, empty = found.rows
    # the axis reaches from -2.2 to 2.2
    assert found.zero == 50
    assert (first.mean, second.mean) == (pytest.approx(4.545), pytest.approx(95.455))
    assert second.published == pytest.approx(72.727)
    assert first.interval == Interval(4.545, 4.545, cut_low=False, cut_high=False)
    assert [(tick.text) for tick in found.ticks] == [
        "\N{MINUS SIGN}2",
        "\N{MINUS SIGN}1",
        "0",
        "+1",
        "+2",
    ]
    assert (empty.mean, empty.interval, empty.dots, empty.published) == (None, None, (), None)


def test_one_dot_per_seed_and_equal_ones_side_by_side() -> None:
    found = forest([item("a", *[1.0] * 5, 2.0)])
    assert found is not None
    dots = found.rows[0].dots
    assert [dot.seed for dot in dots] == [0, 1, 2, 3, 4, 5]
    assert len({(dot.at, dot.lane) for dot in dots}) == 6
    assert len({dot.at for dot in dots}) == 2


def test_a_single_seed_has_no_interval() -> None:
    found = forest([item("a", 1.0)])
    assert found is not None
    assert found.rows[0].interval is None
    assert found.rows[0].mean == found.rows[0].dots[0].at


def test_an_interval_that_would_squeeze_the_rest_is_cut() -> None:
    wide = Item("wide", Sample(2, 0.5, 1.0, (-50.0, 51.0)), {0: 0.0, 1: 1.0})
    found = forest([wide])
    assert found is not None
    # 0 to 1, stretched by one range on both sides: -1 to 2, and 5 % of that
    assert found.zero == pytest.approx(100 * 1.15 / 3.3, abs=0.001)
    assert found.rows[0].interval == Interval(0, 100, cut_low=True, cut_high=True)


def test_zero_and_published_numbers_lie_on_the_axis() -> None:
    found = forest([item("a", 5.0, 5.5, published=-3.0)])
    assert found is not None
    assert found.rows[0].published is not None
    assert 0 <= found.rows[0].published < found.zero < found.rows[0].dots[0].at <= 100


def test_without_numbers_there_is_no_plot() -> None:
    assert forest([NOTHING]) is None
    assert forest([]) is None
