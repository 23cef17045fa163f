import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_step.py"


@pytest.fixture
def parse(monkeypatch):
    """Read a command line as the script does."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    script = runpy.run_path(str(SCRIPT))

    def parse(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        return script["parse_options"]()

    return parse


def test_groups_are_all_or_those_that_are_named(parse):
    assert parse().group == ["resnet50", "wide"]
    assert parse("wide", "--rounds=2").group == ["wide"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("resnet18", "argument GROUP: no group 'resnet18': there are resnet50 and wide"),
        ("--dtype=float32", "unrecognized arguments: --dtype=float32"),
    ],
)
def test_what_would_be_ignored_is_refused(parse, argument, message, capsys):
    with pytest.raises(SystemExit):
        parse(argument)
    assert message in capsys.readouterr().err
