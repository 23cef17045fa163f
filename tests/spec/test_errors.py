import pickle
from dataclasses import replace

import pytest

from awlab.spec.errors import COMMAND_LINE, InputError, Problem, SpecError, did_you_mean, shown


def test_a_problem_says_where_what_and_what_instead():
    found = Problem("a.b", "must be x, not 'y'", "f.yaml", 3, 6, "  b: y", "Did you mean 'x'?")
    assert str(found) == (
        "f.yaml:3:6: a.b: must be x, not 'y'. Did you mean 'x'?\n    3 |   b: y\n             ^"
    )


def test_a_problem_without_a_place():
    assert str(Problem("a.b", "is missing")) == "a.b: is missing"
    assert str(Problem("", "no such file", "f.yaml")) == "f.yaml: no such file"


def test_a_problem_of_an_argument_names_it_once():
    found = Problem("a.b", "must be text", COMMAND_LINE, source_line="a.b=1")
    assert str(found) == "command line: a.b=1: must be text"
    assert str(replace(found, path="a.c")) == "command line: a.b=1: a.c: must be text"


def test_the_caret_follows_tabs_and_long_lines():
    assert str(Problem("", "x", "f", 1, 3, "\ta: b")).splitlines()[2] == "        \t ^"
    line = "".join(chr(ord("a") + i % 26) for i in range(1000))
    _, excerpt, caret = str(Problem("", "x", "f", 1, 501, line)).splitlines()
    assert len(excerpt) == len("    1 | ") + 100
    assert excerpt[caret.index("^")] == line[500]


def test_a_spec_error_shows_all_problems():
    error = SpecError([Problem("a", "is missing"), Problem("b", "unknown key")])
    assert str(error) == "a: is missing\nb: unknown key"
    assert isinstance(error, InputError)
    assert isinstance(error, ValueError)


def test_of_many_problems_the_first_are_shown():
    error = SpecError([Problem(f"a{i}", "is missing") for i in range(73)])
    lines = str(error).splitlines()
    assert (len(error.problems), len(lines)) == (73, 51)
    assert lines[-2:] == ["a49: is missing", "... and 23 more problems"]


def test_a_spec_error_travels_between_processes():
    error = SpecError([Problem("a", "is missing")])
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("epoch", "Did you mean 'epochs'?"),
        ("EPOCHS", "Did you mean 'epochs'?"),
        ("bf16", "Did you mean 'bf16-mixed'?"),
        ("zzz", ""),
        ("b", ""),
        (7, ""),
    ],
)
def test_did_you_mean(word, hint):
    assert did_you_mean(word, ["epochs", "batch_size", "bf16-mixed"]) == hint


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("a", "'a'"),
        ({"a": 1}, "a mapping"),
        ([1, 2], "[1, 2]"),
        (list(range(100)), "a list"),
        ("x" * 100, f"'{'x' * 56}..."),
    ],
)
def test_shown(value, text):
    assert shown(value) == text
