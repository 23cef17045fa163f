"""Inputs are counted: how many were made up for the tests of each file, and tried on them."""

import functools
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.fault_ledger import properties

COUNTS = "inputs made up"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    made = getattr(getattr(item, "obj", None), "hypothesis", None)
    if made is None:
        return (yield)
    test, tried = made.inner_test, Counter[str]()

    @functools.wraps(test)
    def counted(*arguments: Any, **named: Any) -> Any:
        tried[item.location[0]] += 1
        return test(*arguments, **named)

    made.inner_test = counted
    try:
        return (yield)
    finally:
        made.inner_test = test
        item.user_properties.append((COUNTS, dict(tried)))


@pytest.fixture
def record_inputs(request: pytest.FixtureRequest) -> Callable[[int], None]:
    """Counts inputs that somebody else than hypothesis made up."""

    def record(count: int) -> None:
        request.node.user_properties.append((COUNTS, {request.node.location[0]: count}))

    return record


def pytest_terminal_summary(terminalreporter: Any) -> None:
    tried: Counter[str] = sum(map(Counter, properties(terminalreporter, COUNTS)), Counter())
    if tried:
        files = ", ".join(f"{count} in {file}" for file, count in sorted(tried.items()))
        terminalreporter.write_line(f"inputs made up: {tried.total()} ({files})")
