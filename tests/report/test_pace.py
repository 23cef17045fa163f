from collections.abc import Callable

import pytest

from awlab.plan import Plan, Run
from awlab.report.pace import Pace, clock


@pytest.fixture
def runs(make_plan: Callable[..., Plan]) -> tuple[Run, ...]:
    """Two runs of one cell, then two of another."""
    return make_plan().runs


def test_nobody_can_tell_at_first(runs: tuple[Run, ...]) -> None:
    pace = Pace(2)
    pace.began(runs[0], 0.0, now=0.0)
    pace.look({runs[0].id: 0.0}, now=50.0)
    assert pace.seconds_left(runs[0]) is None
    assert pace.seconds_left_of_all(runs) is None
    assert pace.seconds_left_of_all([]) is None


def test_a_run_goes_on_at_its_own_pace(runs: tuple[Run, ...]) -> None:
    pace = Pace(1)
    pace.began(runs[0], 0.5, now=100.0)  # Half of it was done before.
    pace.look({runs[0].id: 0.6}, now=120.0)
    assert pace.seconds_left(runs[0]) == pytest.approx(80.0)
    # A run that has not begun takes as long as this one takes in all.
    assert pace.seconds_left(runs[2]) == pytest.approx(200.0)


def test_a_run_takes_as_long_as_others_of_its_cell_else_of_the_study(
    runs: tuple[Run, ...],
) -> None:
    pace = Pace(1)
    for run, seconds in ((runs[0], 100.0), (runs[2], 20.0)):
        pace.began(run, 0.0, now=0.0)
        pace.ended(run, now=seconds, finished=True)
    assert pace.seconds_left(runs[1]) == pytest.approx(100.0)
    assert pace.seconds_left(runs[3]) == pytest.approx(20.0)
    pace.began(runs[1], 0.0, now=200.0)
    pace.look({runs[1].id: 0.0}, now=230.0)
    assert pace.seconds_left(runs[1]) == pytest.approx(70.0)  # In its first epoch for 30 s.
    pace.look({runs[1].id: 0.0}, now=999.0)
    assert pace.seconds_left(runs[1]) == 0.0


def test_attempts_that_failed_or_finished_a_rest_do_not_mislead(runs: tuple[Run, ...]) -> None:
    pace = Pace(1)
    pace.began(runs[0], 0.0, now=0.0)
    pace.ended(runs[0], now=1.0, finished=False)
    assert pace.seconds_left(runs[1]) is None
    pace.began(runs[0], 0.75, now=0.0)
    pace.ended(runs[0], now=10.0, finished=True)
    assert pace.seconds_left(runs[1]) == pytest.approx(40.0)
    pace.ended(runs[3], now=10.0, finished=True)  # Executed elsewhere: never begun here.


def test_runs_at_once_share_what_is_left_but_the_longest_takes_its_time(
    runs: tuple[Run, ...],
) -> None:
    pace = Pace(2)
    pace.began(runs[0], 0.0, now=0.0)
    pace.ended(runs[0], now=100.0, finished=True)
    assert pace.seconds_left_of_all(runs[1:]) == pytest.approx(150.0)
    assert pace.seconds_left_of_all(runs[1:2]) == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (4.2, "0:05"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
