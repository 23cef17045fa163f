"""An axis with round numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, log10

from awlab.report.wording import MINUS

PADDING = 0.05
"""Of the range, left free at both ends."""
STRETCH = 1.0
MOST_TICKS = 6


@dataclass(frozen=True)
class Tick:
    """A mark.

    Attributes:
        at: Percent of the length of the axis.
        text: The number there.
    """

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """A linear scale.

    Attributes:
        low: Value at 0 percent.
        high: Value at 100 percent.
        signed: Whether positive numbers carry a sign.
    """

    low: float
    high: float
    signed: bool = False

    @classmethod
    def around(
        cls, values: Iterable[float], ends: Iterable[float] = (), *, signed: bool = False
    ) -> "Axis":
        """An axis on which all values lie, at least one; equal ones lie in its middle.

        Args:
            values: That must lie on the axis.
            ends: Of intervals: they stretch the axis by `STRETCH` ranges of the values at most, so
                that one wide interval does not squeeze the rest.
            signed: As above.
        """
        found = list(values)
        low, high = min(found), max(found)
        room = STRETCH * (high - low)
        found += [min(max(end, low - room), high + room) for end in ends] if room else ends
        low, high = min(found), max(found)
        room = PADDING * (high - low) or abs(low) / 10 or 1.0
        return cls(low - room, high + room, signed)

    def __call__(self, value: float) -> float:
        """Place a value: percent of the length, three digits after the point."""
        return round(100 * (value - self.low) / (self.high - self.low), 3)

    def clipped(self, value: float) -> float:
        """Place a value, or the end of the axis that is nearest to it."""
        return self(min(max(value, self.low), self.high))

    @cached_property
    def ticks(self) -> tuple[Tick, ...]:
        """Two or more round numbers, at most `MOST_TICKS`."""
        step = self._step
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return tuple(Tick(self(k * step), self._text(k * step)) for k in range(first, last + 1))

    @cached_property
    def _step(self) -> float:
        """The smallest of 1, 2, 5 times a power of ten that needs few enough ticks."""
        power = 10.0 ** floor(log10((self.high - self.low) / MOST_TICKS))
        return next(
            factor * power
            for factor in (1, 2, 5, 10)
            if floor(self.high / (factor * power)) - ceil(self.low / (factor * power)) < MOST_TICKS
        )

    def _text(self, value: float) -> str:
        decimals = max(0, -floor(log10(self._step) + 1e-9))
        sign = "+" if self.signed and abs(value) > self._step / 2 else ""
        return f"{value:{sign}z.{decimals}f}".replace("-", MINUS)
