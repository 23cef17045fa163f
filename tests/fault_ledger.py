"""Faults are counted: how many were injected, how many were survived, which results were lost.

A test that is marked `fault` injects one; one that injects more, or can lose results, says so in
its `ledger`. `pytest -m fault` runs them all and prints the sum.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass
class Ledger:
    """What a test did and what was left."""

    injected: int = 0
    lost: int = 0


@dataclass
class Total:
    """Over all tests."""

    injected: int = 0
    survived: int = 0
    lost: int = 0


LEDGER = pytest.StashKey[Ledger]()
TOTAL = pytest.StashKey[Total]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if item.get_closest_marker("fault") and report.when == "call" and not report.skipped:
        ledger = item.stash.get(LEDGER, Ledger(injected=1))
        total = item.config.stash.setdefault(TOTAL, Total())
        total.injected += ledger.injected
        total.survived += ledger.injected if report.passed else 0
        total.lost += ledger.lost
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    total = config.stash.get(TOTAL, Total())
    if total.injected:
        terminalreporter.write_line(
            f"faults injected: {total.injected}, survived: {total.survived}, "
            f"results lost: {total.lost}"
        )


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Counts the faults that a test injects."""
    return request.node.stash.setdefault(LEDGER, Ledger())
