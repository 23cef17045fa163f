import math
import subprocess
import sys
import textwrap
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from awlab.spec import read_yaml as module
from awlab.spec.errors import SpecError
from awlab.spec.read_yaml import MAX_DEPTH, MAX_NODES, read_yaml, scalar


def problem(text):
    with pytest.raises(SpecError) as caught:
        read_yaml(text, "a.yaml")
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("5.0e-4", 0.0005),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1E+2", -100.0),
        ("12", 12),
        ("+12", 12),
        ("010", 10),
        ("0o10", 8),
        ("0xfF", 255),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("-0x1", "-0x1"),
        ("0b1", "0b1"),
        ("1e", "1e"),
        (".", "."),
        ("-", "-"),
        ("inf", "inf"),
        ("nan", "nan"),
        ("tRue", "tRue"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    found = scalar(text)
    assert (type(found), found) == (type(value), value)


def test_nan():
    assert math.isnan(read_yaml("a: .nan", "a.yaml").data["a"])


def test_quoted_scalars_are_text():
    text = "a: '1'\nb: \"true\"\nc: |\n  null\nd: ''"
    assert read_yaml(text, "a.yaml").data == {"a": "1", "b": "true", "c": "null\n", "d": ""}


def test_keys_are_text_as_written():
    assert read_yaml("1: a\nno: b\n'<<': c\n", "a.yaml").data == {"1": "a", "no": "b", "<<": "c"}


def test_marks_tell_where_each_key_and_value_stands():
    document = read_yaml("a:\n  b: 1\n  c: [x, {d: 2}]\n", "a.yaml")
    assert document.data == {"a": {"b": 1, "c": ["x", {"d": 2}]}}
    assert {path: mark[1:3] for path, mark in document.keys.items()} == {
        ("a",): (1, 1),
        ("a", "b"): (2, 3),
        ("a", "c"): (3, 3),
        ("a", "c", 1, "d"): (3, 11),
    }
    assert document.values["a", "b"] == ("a.yaml", 2, 6, "  b: 1")
    assert document.values["a", "c", 1, "d"][1:3] == (3, 14)


def test_positions_count_characters_and_all_line_breaks():
    document = read_yaml("\u00e4\u00f6: {x: 1}\r\n# \u2028b: 2\r\nc: 3", "a.yaml")
    assert document.values["\u00e4\u00f6", "x"][1:3] == (1, 9)
    assert document.values[("c",)] == ("a.yaml", 4, 4, "c: 3")


def test_duplicate_keys_are_noted_with_both_lines():
    document = read_yaml("a: 1\nb:\n  c: 1\n  c: 2\na: 2\n", "a.yaml")
    assert [str(found).splitlines()[0] for found in document.problems] == [
        "a.yaml:4:3: b.c: duplicate key, already given in line 3",
        "a.yaml:5:1: a: duplicate key, already given in line 1",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.yaml: is empty"),
        ("# only a comment\n", "a.yaml: is empty"),
        ("a: 1\n---\nb: 2", "a.yaml:2:1: a second document begins here, expected only one"),
        ("a:\n  <<: {b: 1}", r"a.yaml:2:3: a: merge keys \(<<\) are not allowed, write the keys"),
        ("a: !!python/name:os.system x", r"a.yaml:1:4: a: tags \(tag:yaml.org,2002:python/name"),
        ("a: ! x", r"a.yaml:1:4: a: tags \(!\) are not allowed"),
        ("!!str a: 1", "a.yaml:1:1: a key must be plain text"),
        ("? [a, b]\n: 1", "a.yaml:1:3: a key must be plain text"),
        ("a: &x b\n*x : 1", "a.yaml:2:1: a key must be plain text"),
        ("a: *x", "a.yaml:1:4: a: the alias [*]x stands for nothing, no &x is above it"),
        ("a: &x [*x]", "a.yaml:1:8: a.0: the alias [*]x stands for nothing"),
        ("a: " + "9" * 5000, "a.yaml:1:4: a: an integer of 5000 digits is too long"),
        ("a: 1\n b: 2", "a.yaml:2:3: not valid YAML: a ':' is not allowed here"),
        ("a: @x", "a.yaml:1:4: not valid YAML: this character cannot begin a value"),
        ("a: 'x", "not valid YAML: found unexpected end of stream"),
        ("a: 1\nb", "not valid YAML: a ':' is missing after the key"),
        ("%YAML 1.3\n--- 1", "a.yaml:1:1: not valid YAML: found incompatible YAML document"),
        ("a: 1\nb: \x00", r"a.yaml:2:4: the character U\+0000 cannot be part of a text"),
        ("a: \ud800", r"a.yaml:1:4: the character U\+D800 cannot be part of a text"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(SpecError, match=message):
        read_yaml(text, "a.yaml")


def test_a_refusal_shows_the_line_and_points_into_it():
    assert str(problem("x: 1\na: ! x")).splitlines()[1:] == ["    2 | a: ! x", "           ^"]


def test_aliases_are_copies():
    data = read_yaml("a: &x {b: [1]}\nc: *x\nd: *x", "a.yaml").data
    assert data["c"] == data["d"] == {"b": [1]}
    assert data["c"]["b"] is not data["d"]["b"]


def test_an_alias_means_the_nearest_anchor_above():
    assert read_yaml("a: &x 1\nb: &x 2\nc: *x", "a.yaml").data == {"a": 1, "b": 2, "c": 2}


@pytest.mark.fault
def test_alias_bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert f"holds more than {MAX_NODES} values, those behind aliases" in str(
        problem("\n".join(lines))
    )


@pytest.mark.fault
def test_deep_aliases():
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60))]
    assert problem("\n".join(lines)).message == f"is nested more than {MAX_DEPTH} levels deep"


@pytest.mark.fault
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "a:\n "])
def test_depth_is_bounded(opening):
    text = opening * 100_000
    if opening == "a:\n ":
        text = "".join(f"{' ' * depth}a:\n" for depth in range(500))
    assert problem(text).message == f"is nested more than {MAX_DEPTH} levels deep"


def test_the_greatest_depth_is_allowed():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read_yaml(text, "a.yaml").data
    assert problem(f"[{text}]").message == f"is nested more than {MAX_DEPTH} levels deep"


@pytest.mark.fault
def test_the_number_of_values_is_bounded():
    assert len(read_yaml("[" + "1," * (MAX_NODES - 1) + "]", "a.yaml").data) == MAX_NODES - 1
    assert "holds more than" in problem("[" + "1," * MAX_NODES + "]").message


def test_the_parser_in_python_says_the_same(monkeypatch):
    text = "a: 1e-3\nb: &x [no, 'y']\nc: *x\nd: {e: null}\n"
    expected = read_yaml(text, "a.yaml")
    monkeypatch.setattr(module, "_PARSER", yaml.SafeLoader)
    assert read_yaml(text, "a.yaml") == expected
    assert problem("[" * 1000).message == f"is nested more than {MAX_DEPTH} levels deep"


@settings(max_examples=150, deadline=None, database=None)
@given(st.text() | st.text("[]{}:,-?&*!|>%@#'\" \n\tab1.~<"))
def test_any_text_is_read_or_refused(text):
    with suppress(SpecError):
        read_yaml(text, "a.yaml")


def test_does_not_need_the_c_parser():
    code = """
        import sys
        sys.modules["yaml._yaml"] = None
        from awlab.spec.read_yaml import _PARSER, read_yaml
        assert _PARSER.__name__ == "SafeLoader"
        assert read_yaml("a: 1e-3", "a.yaml").data == {"a": 1e-3}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
