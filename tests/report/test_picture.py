import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from awlab.plan import Plan
from awlab.report.picture import picture
from awlab.report.progress import DAMAGED, Progress
from awlab.report.signs import SIGNS

DONE, RUNNING, PAUSED, FAILED, MISSING = (
    SIGNS[state].character for state in ("finished", "running", "interrupted", "failed", "missing")
)
STATES = [
    Progress("finished", value=12.345, fraction=1.0),
    Progress("running", fraction=0.4),
    Progress("running", host="gpu7", fraction=0.4),
    Progress("interrupted", fraction=0.25),
    Progress("failed", failure="out of memory"),
    Progress("failed", failure=DAMAGED),
    Progress("failed", failure="diverged"),
    Progress("missing"),
]


@pytest.fixture
def draw() -> Callable[..., list[str]]:
    """Draw a study whose runs are in these states, in turn; lines without the space at the end."""

    def drawn(plan: Plan, states: list[Progress], *, width: int = 80, **options: Any) -> list[str]:
        console = Console(file=StringIO(), width=width, color_system=None)
        progress = {run.id: states[i % len(states)] for i, run in enumerate(plan.runs)}
        console.print(picture(plan, progress, console, **options))
        assert isinstance(console.file, StringIO)
        lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
        assert max(map(len, lines)) <= width
        return lines

    return drawn


def test_cells_by_seeds(make_plan: Callable[..., Plan], draw: Callable[..., list[str]]) -> None:
    lines = draw(make_plan(seeds=4), STATES, width=100)
    assert [re.split(r"  +", line) for line in lines] == [
        ["f2", "seed 0", "seed 1", "seed 2", "seed 3"],
        ["residual", f"{DONE} 12.35", f"{RUNNING} 40%", f"{RUNNING} 40% gpu7", f"{PAUSED} 25%"],
        ["product", f"{FAILED} memory", f"{FAILED} damaged", f"{FAILED} diverged", MISSING],
    ]


def test_many_seeds_are_one_character_each(
    make_plan: Callable[..., Plan], draw: Callable[..., list[str]]
) -> None:
    states = [Progress("finished", value=10.0), Progress("finished", value=11.0), *STATES[-1:] * 13]
    assert draw(make_plan(seeds=15), states, width=60) == [
        "f2        by seed          mean",
        "residual  " + DONE * 2 + MISSING * 13 + "  10.50",
        "product   " + DONE * 2 + MISSING * 13 + "  10.50",
    ]


def test_long_names_are_broken_between_labels(
    make_plan: Callable[..., Plan], draw: Callable[..., list[str]]
) -> None:
    rates = {"a-rate-with-a-long-name": 0.1, "another-one": 0.2}
    axes = {
        "f2": {"path": "model.conv.f2", "values": ["residual", "product"]},
        "learning_rate": {"path": "training.optimizer.lr", "values": rates},
    }
    baseline = {"f2": "residual", "learning_rate": "another-one"}
    plan = make_plan(axes=axes, baseline=baseline, seeds=2)
    lines = draw(plan, STATES[-1:], width=44)
    assert [line.split("  ")[0] for line in lines] == [
        f"f2 {MISSING} learning_rate",
        f"residual {MISSING}",
        "a-rate-with-a-long-name",
        f"residual {MISSING} another-one",
        f"product {MISSING}",
        "a-rate-with-a-long-name",
        f"product {MISSING} another-one",
    ]
    assert len(draw(plan, STATES[-1:], width=44, lines=7)) == 7
    assert len(draw(plan, STATES[-1:], width=44, lines=6)) <= 6


def test_another_metric_is_not_percent(
    make_plan: Callable[..., Plan], draw: Callable[..., list[str]]
) -> None:
    plan = make_plan(metric={"name": "test/loss"})
    lines = draw(plan, [Progress("finished", value=0.123456)])
    assert "0.1235" in lines[1]


def test_on_a_low_terminal_what_matters_is_seen(
    make_plan: Callable[..., Plan], draw: Callable[..., list[str]]
) -> None:
    axis = {"path": "training.optimizer.lr", "values": [i / 100 for i in range(1, 21)]}
    plan = make_plan(axes={"lr": axis}, baseline=0.01, seeds=1)
    done, running, failed = STATES[0], STATES[1], STATES[4]
    states = [done] * 15 + [running] + [done] * 2 + [failed] + [done]
    lines = draw(plan, states, lines=6)
    assert [line.split()[0] for line in lines] == ["lr", "0.01", "0.02", "0.16", "0.19", "and"]
    assert lines[-1] == "and 16 more cells with 16 of 16 runs finished"
    assert len(draw(plan, states, lines=21)) == 21
    assert len(draw(plan, states)) == 21
