from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from awlab.report.figures.scatter import LONGEST_NAME, Candidate, pareto_front, scatter

Numbers = st.integers(0, 6).map(float)


def beats(one: Candidate, other: Candidate, sign: int) -> bool:
    """By the definition of Pareto dominance."""
    as_good = one.x <= other.x and sign * one.y <= sign * other.y
    return as_good and (one.x < other.x or sign * one.y < sign * other.y)


@given(
    points=st.lists(st.tuples(Numbers, Numbers), min_size=1, max_size=12),
    direction=st.sampled_from(["min", "max"]),
)
def test_the_front_is_what_nothing_beats(points: list[tuple[float, float]], direction) -> None:
    candidates = [Candidate(str(k), x, y, None) for k, (x, y) in enumerate(points)]
    sign = 1 if direction == "min" else -1
    literal = {c.name for c in candidates if not any(beats(o, c, sign) for o in candidates)}
    assert {candidate.name for candidate in pareto_front(candidates, direction)} == literal


def test_places_and_stairs() -> None:
    cheap, dear, bad = (
        Candidate("cheap", 1.0, 20.0, (19.0, 21.0)),
        Candidate("dear", 3.0, 10.0, None),
        Candidate("bad", 2.0, 30.0, None),
    )
    found = scatter([cheap, dear, bad], "min")
    assert found is not None
    places = {point.name: (point.x, point.y, point.on_front) for point in found.points}
    # cost from 0.9 to 3.1, error from 9 (bottom) to 31 (top)
    assert places == {
        "cheap": (4.545, 50.0, True),
        "dear": (95.455, 95.455, True),
        "bad": (50.0, 4.545, False),
    }
    assert found.points[0].top < 50 < found.points[0].bottom
    assert found.stairs == ((4.545, 50.0, 95.455, 50.0), (95.455, 50.0, 95.455, 95.455))
    assert [tick.text for tick in found.x_ticks] == ["1.0", "1.5", "2.0", "2.5", "3.0"]
    heights = [tick.at for tick in found.y_ticks]
    assert all(low > high for low, high in pairwise(heights)), "larger errors stand higher"


def test_cells_of_one_cost_have_no_plot() -> None:
    assert scatter([Candidate("a", 1.0, 2.0, None), Candidate("b", 1.0, 3.0, None)], "min") is None
    assert scatter([], "min") is None


def test_names_do_not_overlap() -> None:
    crowd = [Candidate(f"variant {k}", 1 + k % 5 / 10, 20 + k // 5 / 10, None) for k in range(30)]
    found = scatter(crowd, "min")
    assert found is not None
    shown = [point for point in found.points if point.shown]
    assert 3 < len(shown) < 30
    assert all(
        abs(one.text_y - other.text_y) > 5 or abs(one.x - other.x) > 10
        for one in shown
        for other in shown
        if one != other and one.to_left == other.to_left
    )


def test_a_long_name_is_cut_in_the_middle() -> None:
    name = "x" * 150 + "y" * 150
    found = scatter([Candidate(name, 1.0, 2.0, None), Candidate("b", 2.0, 3.0, None)], "max")
    assert found is not None
    assert found.points[0].text == "x" * 11 + "\N{HORIZONTAL ELLIPSIS}" + "y" * 12
    assert len(found.points[0].text) == LONGEST_NAME
    assert found.points[0].name == name


def test_names_at_the_right_edge_stand_to_the_left() -> None:
    found = scatter([Candidate("a", 1.0, 2.0, None), Candidate("b", 2.0, 3.0, None)], "min")
    assert found is not None
    assert [point.to_left for point in found.points] == [False, True]
