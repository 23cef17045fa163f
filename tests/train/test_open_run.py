from types import SimpleNamespace
from typing import Any

import pytest

from awlab.train.open_run import OpenRun


class Orphan:
    """A W&B run whose service process was killed: everything but its folder raises."""

    dir = "/studies/s/wandb/offline-run-1/files"
    offline = True

    def __getattr__(self, name: str) -> Any:
        raise ConnectionResetError("Connection lost\nas ever")


def test_no_run_is_harmless() -> None:
    opened = OpenRun(None, pytest.fail, truth="x")
    opened.attempt(lambda run: run.log({}))
    opened.finish(0)
    assert opened.address is None


def test_what_fails_is_told_once_and_says_how_to_go_on() -> None:
    notices: list[str] = []
    opened = OpenRun(Orphan(), notices.append, truth="studies/s")  # pyright: ignore[reportArgumentType]
    opened.attempt(lambda run: run.log({}))
    opened.attempt(lambda run: run.log({}))
    opened.finish(0)
    (notice,) = notices
    assert notice == (
        "W&B: Connection lost. studies/s has it all; to upload what W&B kept of it: "
        "wandb sync /studies/s/wandb/offline-run-1"
    )
    assert opened.run is None


def test_the_address_of_an_online_run_is_its_url() -> None:
    run: Any = SimpleNamespace(offline=False, url="https://x/runs/1")
    assert OpenRun(run, pytest.fail, truth="x").address == "https://x/runs/1"
