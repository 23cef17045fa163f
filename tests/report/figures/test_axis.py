import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awlab.report.figures.axis import MOST_TICKS, Axis

MINUS = "\N{MINUS SIGN}"


def test_places_are_percent_of_the_length() -> None:
    axis = Axis(10, 20)
    assert (axis(10), axis(12.5), axis(20), axis(25)) == (0, 25, 100, 150)
    assert (axis.clipped(5), axis.clipped(12.5), axis.clipped(25)) == (0, 25, 100)


def test_an_axis_leaves_room_at_its_ends() -> None:
    assert Axis.around([3.0, 1.0, 2.0]) == Axis(0.9, 3.1)


@pytest.mark.parametrize(
    ("value", "low", "high"), [(0.0, -1, 1), (20.0, 18, 22), (-20.0, -22, -18)]
)
def test_equal_values_lie_in_the_middle(value: float, low: float, high: float) -> None:
    assert Axis.around([value, value], [value]) == Axis(low, high)


def test_a_wide_interval_stretches_an_axis_by_its_range_at_most() -> None:
    stretched = Axis.around([0.0, 1.0], [-0.5, 400.0])
    # from -0.5 to 1 + 1, and 5 % of that at both ends
    assert (stretched.low, stretched.high) == pytest.approx((-0.625, 2.125))


def test_an_interval_around_equal_values_is_whole() -> None:
    axis = Axis.around([1.0], [-9.0, 11.0])
    assert (axis.low, axis.high) == (-10, 12)


@pytest.mark.parametrize(
    ("axis", "texts"),
    [
        (Axis(-1.1, 2.3, signed=True), [f"{MINUS}1", "0", "+1", "+2"]),
        (
            Axis(-0.3, 0.1, signed=True),
            [f"{MINUS}0.3", f"{MINUS}0.2", f"{MINUS}0.1", "0.0", "+0.1"],
        ),
        (Axis(0, 10), ["0", "2", "4", "6", "8", "10"]),
        (Axis(24.1, 24.9), ["24.2", "24.4", "24.6", "24.8"]),
        (Axis(0, 30_000_000), ["0", "10000000", "20000000", "30000000"]),
    ],
)
def test_ticks_are_round(axis: Axis, texts: list[str]) -> None:
    assert [tick.text for tick in axis.ticks] == texts


def test_a_tick_stands_at_its_number() -> None:
    assert [(tick.at, tick.text) for tick in Axis(-1, 3).ticks] == [
        (0, f"{MINUS}1"),
        (25, "0"),
        (50, "1"),
        (75, "2"),
        (100, "3"),
    ]


@given(
    low=st.floats(-1e6, 1e6, allow_nan=False),
    width=st.floats(1e-3, 1e6, allow_nan=False),
)
def test_every_axis_has_a_few_ticks_within_it(low: float, width: float) -> None:
    axis = Axis.around([low, low + width])
    assert 2 <= len(axis.ticks) <= MOST_TICKS + 1
    assert all(-0.01 <= tick.at <= 100.01 for tick in axis.ticks)
    assert len({tick.text for tick in axis.ticks}) == len(axis.ticks)
    assert not any(math.isnan(tick.at) for tick in axis.ticks)
