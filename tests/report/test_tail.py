from collections.abc import Iterator
from pathlib import Path

import pytest

from awlab.report import tail
from awlab.spec.errors import InputError


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tail, "POLL_SECONDS", 0.001)
    file = tmp_path / "log.txt"
    file.write_text("one\n")
    return file


def test_what_is_there(log: Path) -> None:
    assert list(tail.read(log)) == ["one\n"]


def test_what_is_added_until_nobody_adds_anything(log: Path) -> None:
    def grow() -> Iterator[bool]:
        yield False
        with log.open("a") as file:
            file.write("tw")
        yield False
        with log.open("a") as file:
            file.write("o\n")  # Written before its process ended, read after that.
        yield True

    steps = grow()
    assert list(tail.read(log, until=lambda: next(steps))) == ["one\n", "tw", "o\n"]


def test_a_letter_that_is_written_in_two_halves(log: Path) -> None:
    halves = "\N{CHECK MARK}".encode()
    log.write_bytes(halves[:1])

    def grow() -> Iterator[bool]:
        yield False
        with log.open("ab") as file:
            file.write(halves[1:])
        yield True

    steps = grow()
    assert "".join(tail.read(log, until=lambda: next(steps))) == "\N{CHECK MARK}"


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*log.txt: No such file"):
        list(tail.read(tmp_path / "log.txt"))
