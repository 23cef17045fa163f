import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from awlab.cli.app import _Verbs
from awlab.record.claim import ClaimedElsewhereError
from awlab.spec.errors import InputError


def outcome(error: BaseException) -> tuple[int, str]:
    app = typer.Typer(cls=_Verbs)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    done = CliRunner().invoke(app, ["fail"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("wrong"), 2, "error: wrong\n"),
        (ClaimedElsewhereError("taken"), 73, "error: taken\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; the same command goes on from here\n"),
        (SystemExit(75), 75, ""),
    ],
)
def test_errors_become_exit_codes(error: BaseException, code: int, message: str) -> None:
    assert outcome(error) == (code, message)


@pytest.mark.parametrize("error", [ValueError("ours"), RuntimeError("ours")])
def test_our_own_mistakes_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error), match="ours"):
        outcome(error)


def test_a_misspelt_verb_is_answered_with_the_nearest() -> None:
    from awlab.cli import app

    done = CliRunner().invoke(app, ["validat", str(Path("x.yaml"))])
    assert done.exit_code == 2
    assert "Did you mean 'validate'" in done.stderr


def test_help_begins_with_what_is_used_first() -> None:
    from awlab.cli import app

    text = CliRunner().invoke(app, ["--help"]).stdout
    words = re.findall(r"^\W+(\w+ ?experiment|\w+ ?ablation|\w+)", text, re.MULTILINE)
    expected = ["One experiment", "run", "eval", "One ablation", "plan", "ablate", "Around"]
    assert [word for word in words if word in expected] == expected
