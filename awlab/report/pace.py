"""How long the rest of a study takes, judged by what has been done of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from awlab.plan import Run


@dataclass(frozen=True)
class _Lap:
    began: float
    fraction: float
    """Of the run, that was done before."""


class Pace:
    """Learns from runs that have ended and from those that are on their way.

    Args:
        at_once: Runs that are executed at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._laps: dict[str, _Lap] = {}
        self._seconds: dict[str, list[float]] = {}
        self._fractions: Mapping[str, float] = {}
        self._now = 0.0

    def began(self, run: Run, fraction: float, now: float) -> None:
        """An attempt began, with this fraction of the run done before."""
        self._laps[run.id] = _Lap(now, fraction)

    def ended(self, run: Run, now: float, *, finished: bool) -> None:
        """An attempt ended."""
        lap = self._laps.pop(run.id, None)
        if finished and lap is not None and lap.fraction < 1:
            self._seconds.setdefault(run.cell, []).append((now - lap.began) / (1 - lap.fraction))

    def look(self, fractions: Mapping[str, float], now: float) -> None:
        """Take note of how far the runs are, by id."""
        self._fractions = fractions
        self._now = now

    def seconds_left(self, run: Run) -> float | None:
        """Of one run; None while nobody can tell."""
        whole = self._own_whole(run.id) or self._whole_of(run.cell)
        if whole is None:
            return None
        fraction, lap = self._fractions.get(run.id, 0.0), self._laps.get(run.id)
        left = whole * (1 - fraction)
        if lap is not None and fraction == lap.fraction:  # It works on its first epoch.
            left = max(left - (self._now - lap.began), 0.0)
        return left

    def seconds_left_of_all(self, runs: Sequence[Run]) -> float | None:
        """Of runs that are not over; None while nobody can tell."""
        left = [self.seconds_left(run) for run in runs]
        known = [seconds for seconds in left if seconds is not None]
        if not known or len(known) < len(left):
            return None
        return max(sum(known) / min(self._at_once, len(known)), *known)

    def _own_whole(self, identity: str) -> float | None:
        """Seconds of a whole run, by the pace of what has been done of it in this attempt."""
        lap = self._laps.get(identity)
        if lap is None or (gained := self._fractions.get(identity, 0.0) - lap.fraction) <= 0:
            return None
        return (self._now - lap.began) / gained

    def _whole_of(self, cell: str) -> float | None:
        """Seconds of a whole run, by those of its cell, else by all others."""
        if cell in self._seconds:
            return fmean(self._seconds[cell])
        known = [seconds for of_cell in self._seconds.values() for seconds in of_cell]
        known += [whole for lap in self._laps if (whole := self._own_whole(lap)) is not None]
        return fmean(known) if known else None


def clock(seconds: float) -> str:
    """Minutes and seconds, as on a clock: 0:05, 12:34, 1:02:03."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
