"""A forest plot: per row a mean with its interval and one dot per seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from awlab.report.figures.axis import Axis, Tick
from awlab.statistics import Paired, Sample

LANES = (0, 1, -1, 2, -2)
"""Dots of neighbouring seeds stand on different heights, so that equal ones can be counted."""


@dataclass(frozen=True)
class Item:
    """What a row shows.

    Attributes:
        name: Of the row.
        sample: Mean and interval; without a mean the row is empty.
        by_seed: One number per seed.
        published: A printed number to set beside.
    """

    name: str
    sample: Sample
    by_seed: Mapping[int, float]
    published: float | None = None

    @classmethod
    def of(cls, name: str, paired: Paired, published: float | None = None) -> "Item":
        """The row of a paired difference."""
        return cls(name, paired.sample, paired.by_seed, published)


@dataclass(frozen=True)
class Dot:
    """One seed: its place in percent, and a lane above or below the middle."""

    at: float
    lane: int
    seed: int


@dataclass(frozen=True)
class Interval:
    """From and to in percent; what was cut goes on beyond the axis."""

    low: float
    high: float
    cut_low: bool
    cut_high: bool


@dataclass(frozen=True)
class Row:
    """Places in percent of the width; None is not there."""

    name: str
    mean: float | None
    interval: Interval | None
    dots: tuple[Dot, ...]
    published: float | None


@dataclass(frozen=True)
class Forest:
    """Rows under one axis, with the place of zero."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    zero: float


def forest(items: Sequence[Item]) -> Forest | None:
    """Place rows on a common axis that shows zero; None when no row has a number."""
    numbers = list(_numbers(items))
    if not numbers:
        return None
    ends = [end for item in items for end in item.sample.interval or ()]
    axis = Axis.around([0.0, *numbers], ends, signed=True)
    return Forest(tuple(_row(item, axis) for item in items), axis.ticks, axis(0.0))


def _numbers(items: Sequence[Item]) -> Iterator[float]:
    for item in items:
        yield from item.by_seed.values()
        if item.published is not None:
            yield item.published


def _row(item: Item, axis: Axis) -> Row:
    return Row(
        name=item.name,
        mean=None if item.sample.mean is None else axis(item.sample.mean),
        interval=_interval(item.sample.interval, axis),
        dots=tuple(
            Dot(axis(value), LANES[k % len(LANES)], seed)
            for k, (seed, value) in enumerate(item.by_seed.items())
        ),
        published=None if item.published is None else axis(item.published),
    )


def _interval(interval: tuple[float, float] | None, axis: Axis) -> Interval | None:
    if interval is None:
        return None
    low, high = interval
    return Interval(axis.clipped(low), axis.clipped(high), low < axis.low, high > axis.high)
