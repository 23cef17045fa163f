import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awlab.spec.read_yaml import read_yaml
from awlab.spec.write_yaml import write_yaml

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(
        ["no", "on", "1e3", "1e-3", "0o7", "0x1", "null", "~", "", "1:30", "<<", "=", "-"]
    )
)
DATA = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), below, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None, database=None)
@given(DATA)
def test_what_is_written_reads_back(data):
    assert read_yaml(write_yaml(data), "a.yaml").data == data


def test_blocks_with_short_lists_in_one_line():
    data = {"b": {"y": [1, 0.5, "no", None], "x": {}}, "a": [{"k": 1}], "long": ["word" * 8] * 4}
    expected = "b:\n  y: [1, 0.5, 'no', null]\n  x: {}\na:\n- k: 1\nlong:\n"
    assert write_yaml(data) == expected + f"- {'word' * 8}\n" * 4


@pytest.mark.parametrize("text", ["no", "on", "Yes", "12:30", "1e3", "0o17", "2024-01-01", "1_000"])
def test_text_that_any_yaml_would_misread_is_quoted(text):
    assert write_yaml({"a": text}) == f"a: '{text}'\n"


def test_equal_lists_are_written_twice():
    same = [{"a": 1}]
    assert write_yaml({"x": same, "y": same}) == "x:\n- a: 1\ny:\n- a: 1\n"


@pytest.mark.parametrize("number", [1e-05, 1e22, 5e-324, 0.1, -0.0, 1.0])
def test_floats_stay_floats(number):
    found = read_yaml(write_yaml(number), "a.yaml").data
    assert (type(found), repr(found)) == (float, repr(number))
