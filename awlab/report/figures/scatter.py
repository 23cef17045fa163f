"""A scatter plot of error against cost, with its Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from awlab.report.figures.axis import Axis, Tick
from awlab.statistics import Direction

RIGHTMOST = 55.0
"""Percent from which a name stands to the left of its point."""
LINE = 6.0
"""Height of a line of text, in percent of the height."""
ABOVE, BELOW = -0.7 * LINE, 0.8 * LINE
"""Where a name stands beside its point, so that the stairs do not run through it."""
DISC = 1.8
"""Radius of a point, in percent."""
CHARACTER = 2.1
"""Width of a letter, in percent of the width."""
LONGEST_NAME = 24


@dataclass(frozen=True)
class Candidate:
    """A cell that costs `x` and is worth `y`, in the middle of an interval."""

    name: str
    x: float
    y: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Point:
    """A cell; places in percent of width and of height, from the top.

    Attributes:
        name: Of the cell.
        text: Its name, or beginning and end of it.
        x: Cost.
        y: Worth.
        top: Of the interval.
        bottom: Of the interval.
        to_left: Whether the text stands to the left of the point.
        text_y: Height of the text.
        shown: Whether there is room for the text.
        on_front: Whether no other cell is at once as cheap and as good.
    """

    name: str
    text: str
    x: float
    y: float
    top: float
    bottom: float
    to_left: bool
    text_y: float
    shown: bool
    on_front: bool


@dataclass(frozen=True)
class Scatter:
    """Points, axes, and the front as corners of its stairs."""

    points: tuple[Point, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    stairs: tuple[tuple[float, float, float, float], ...]


def pareto_front(candidates: Sequence[Candidate], direction: Direction) -> list[Candidate]:
    """Those that no other one beats: as cheap and as good, and better in one of both."""
    sign = 1 if direction == "min" else -1
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.x, sign * c.y)):
        best = front[-1] if front else None
        if best is None or sign * candidate.y < sign * best.y or _equal(candidate, best):
            front.append(candidate)
    return front


def scatter(candidates: Sequence[Candidate], direction: Direction) -> Scatter | None:
    """Place candidates; None when fewer than two differ in cost."""
    if len({candidate.x for candidate in candidates}) < 2:
        return None
    x_axis = Axis.around(candidate.x for candidate in candidates)
    ends = [end for candidate in candidates for end in candidate.interval or ()]
    y_axis = Axis.around([candidate.y for candidate in candidates], ends)
    front = pareto_front(candidates, direction)
    names = {candidate.name for candidate in front}
    points = [_point(c, x_axis, y_axis, on_front=c.name in names) for c in candidates]
    return Scatter(
        points=tuple(_named(points)),
        x_ticks=x_axis.ticks,
        y_ticks=tuple(Tick(_from_top(tick.at), tick.text) for tick in y_axis.ticks),
        stairs=_stairs([point for point in points if point.on_front]),
    )


def _equal(one: Candidate, other: Candidate) -> bool:
    return (one.x, one.y) == (other.x, other.y)


def _from_top(percent: float) -> float:
    return round(100 - percent, 3)


def _point(candidate: Candidate, x_axis: Axis, y_axis: Axis, *, on_front: bool) -> Point:
    low, high = candidate.interval or (candidate.y, candidate.y)
    x, y = x_axis(candidate.x), _from_top(y_axis(candidate.y))
    return Point(
        name=candidate.name,
        text=_cut(candidate.name),
        x=x,
        y=y,
        top=_from_top(y_axis.clipped(high)),
        bottom=_from_top(y_axis.clipped(low)),
        to_left=x > RIGHTMOST,
        text_y=y,
        shown=True,
        on_front=on_front,
    )


def _cut(name: str) -> str:
    """Leave out the middle of a long name: names of a study tend to begin alike."""
    if len(name) <= LONGEST_NAME:
        return name
    half = LONGEST_NAME // 2
    return f"{name[: half - 1]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def _named(points: Sequence[Point]) -> list[Point]:
    """Give the names room, those on the front first; a name without room is not shown."""
    taken = [(p.x - DISC, p.y - DISC, p.x + DISC, p.y + DISC) for p in points]
    placed: dict[str, Point] = {}
    for point in sorted(points, key=lambda p: not p.on_front):
        near, far = (BELOW, ABOVE) if point.to_left else (ABOVE, BELOW)
        shifts = (near, far, 0.0, 2 * near, 2 * far)
        tried = [replace(point, text_y=round(point.y + shift, 3)) for shift in shifts]
        free = [p for p in tried if not any(_overlap(_box(p), box) for box in taken)]
        placed[point.name] = free[0] if free else replace(point, shown=False)
        taken += [_box(p) for p in free[:1]]
    return [placed[point.name] for point in points]


def _box(point: Point) -> tuple[float, float, float, float]:
    width = CHARACTER * len(point.text)
    left = point.x - width - DISC if point.to_left else point.x + DISC
    return left, point.text_y - LINE / 2, left + width, point.text_y + LINE / 2


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _stairs(front: Sequence[Point]) -> tuple[tuple[float, float, float, float], ...]:
    """Lines x1, y1, x2, y2: to the right at the height of each point, then to that of the next."""
    lines: list[tuple[float, float, float, float]] = []
    for here, then in pairwise(sorted(front, key=lambda p: p.x)):
        lines += [(here.x, here.y, then.x, here.y), (then.x, here.y, then.x, then.y)]
    return tuple(lines)
