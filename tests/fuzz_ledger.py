"""Inputs are counted: how many were made up for the tests of each file, and tried on them."""

import functools
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

import pytest

TRIED = pytest.StashKey[Counter[str]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    made = getattr(getattr(item, "obj", None), "hypothesis", None)
    if made is None:
        return (yield)
    test, tried = made.inner_test, item.config.stash.setdefault(TRIED, Counter())

    @functools.wraps(test)
    def counted(*arguments: Any, **named: Any) -> Any:
        tried[item.location[0]] += 1
        return test(*arguments, **named)

    made.inner_test = counted
    try:
        return (yield)
    finally:
        made.inner_test = test


@pytest.fixture
def record_inputs(request: pytest.FixtureRequest) -> Callable[[int], None]:
    """Counts inputs that somebody else than hypothesis made up."""
    tried = request.config.stash.setdefault(TRIED, Counter())

    def record(count: int) -> None:
        tried[request.node.location[0]] += count

    return record


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    tried = config.stash.get(TRIED, Counter())
    if tried:
        files = ", ".join(f"{count} in {file}" for file, count in sorted(tried.items()))
        terminalreporter.write_line(f"inputs made up: {tried.total()} ({files})")
