"""Faults are counted: how many were injected, how many were survived, which results were lost.

A test that is marked `fault` injects one; one that injects more, or can lose results, says so in
its `ledger`. `pytest -m fault` runs them all and prints the sum.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

COUNTS = "faults"


@dataclass
class Ledger:
    """What a test did and what was left."""

    injected: int = 0
    lost: int = 0


LEDGER = pytest.StashKey[Ledger]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if item.get_closest_marker("fault") and report.when == "call" and not report.skipped:
        ledger = item.stash.get(LEDGER, Ledger(injected=1))
        survived = ledger.injected if report.passed else 0
        report.user_properties.append((COUNTS, (ledger.injected, survived, ledger.lost)))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts = properties(terminalreporter, COUNTS)
    if counts:
        injected, survived, lost = map(sum, zip(*counts, strict=True))
        terminalreporter.write_line(
            f"faults injected: {injected}, survived: {survived}, results lost: {lost}"
        )


def properties(terminalreporter: Any, name: str) -> list[Any]:
    """What tests have said under a name, also those that other processes ran."""
    reports = [report for some in terminalreporter.stats.values() for report in some]
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    return [value for report in calls for key, value in report.user_properties if key == name]


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Counts the faults that a test injects."""
    return request.node.stash.setdefault(LEDGER, Ledger())
