import pytest

from awlab.spec.errors import COMMAND_LINE
from awlab.spec.overrides import override
from awlab.spec.read_yaml import read_yaml

TEXT = """
model: {kind: resnet, conv: {kind: aw, f2: residual}, attention: null}
training: {epochs: 200}
plugins: [a, b]
axes: {"0": {path: x}}
"""


def applied(*arguments):
    document = read_yaml(TEXT, "a.yaml")
    override(document, arguments)
    return document


def problems(*arguments):
    return [str(problem) for problem in applied(*arguments).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1e-3", 0.001),
        ("no", "no"),
        ("null", None),
        ("", None),
        (" ", None),
        ("'5'", "5"),
        ("a=b", "a=b"),
        ("{kind: aw, f2: product}", {"kind": "aw", "f2": "product"}),
        ("[1, [2]]", [1, [2]]),
    ],
)
def test_values_follow_yaml(text, value):
    assert applied(f"training.epochs={text}").data["training"] == {"epochs": value}


def test_a_value_replaces_the_node():
    assert applied("model.conv={kind: aw}").data["model"]["conv"] == {"kind": "aw"}


def test_missing_mappings_on_the_way_are_made():
    data = applied("model.attention.kind=se", "runtime.a.b=1").data
    assert data["model"]["attention"] == {"kind": "se"}
    assert data["runtime"] == {"a": {"b": 1}}


def test_later_arguments_see_earlier_ones():
    assert applied("model={kind: x}", "model.depth=3").data["model"] == {"kind": "x", "depth": 3}


def test_items_of_lists_and_keys_that_look_like_indices():
    data = applied("plugins.1=c", "axes.0.path=y").data
    assert data["plugins"] == ["a", "c"]
    assert data["axes"] == {"0": {"path": "y"}}


def test_the_argument_is_the_place_of_what_it_sets():
    document = applied("runtime.a.b=1", "model.conv={kind: aw}")
    for path in [("runtime",), ("runtime", "a", "c"), ("model", "conv", "kind")]:
        assert document.problem(path, "is wrong").file == COMMAND_LINE
        assert document.problem(path, "is wrong", at_key=True).file == COMMAND_LINE
    assert document.problem(("model", "kind"), "is wrong").file == "a.yaml"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["epochs"], "epochs: expected key=value with a key such as training.epochs"),
        (["=5"], "=5: expected key=value with a key such as training.epochs"),
        (["a..b=5"], "a..b=5: expected key=value with a key such as training.epochs"),
        (["training.epochs.x=5"], "training.epochs.x=5: training.epochs is 200, which has no 'x'"),
        (
            ["plugins.2=c"],
            "plugins.2=c: plugins is a list of 2, expected an index below that, not '2'",
        ),
        (
            ["plugins.x=c"],
            "plugins.x=c: plugins is a list of 2, expected an index below that, not 'x'",
        ),
        (["a=b: c: d"], "a=b: c: d: not valid YAML: a ':' is not allowed here"),
        (["a=!x 1"], "a=!x 1: tags (!x) are not allowed"),
        (["a={b: 1, b: 2}"], "a={b: 1, b: 2}: a.b: duplicate key"),
        (["a=1", "a=2"], "a=2: would undo a=1, which is given before it"),
        (["a.b=1", "a={b: 2}"], "a={b: 2}: would undo a.b=1, which is given before it"),
    ],
)
def test_refusals(arguments, message):
    assert problems(*arguments) == [f"command line: {message}"]


def test_an_argument_that_the_shell_has_split():
    (said,) = problems("model.conv={kind:")
    assert said.startswith("command line: model.conv={kind:: not valid YAML: ")
    assert said.endswith(". An argument with spaces needs quotes around it.")


def test_what_is_refused_changes_nothing_and_the_rest_is_applied():
    document = applied("training.epochs.x.y=5", "a.0.b", "training.epochs=7")
    assert len(document.problems) == 2
    assert document.data == {**read_yaml(TEXT, "a.yaml").data, "training": {"epochs": 7}}


def test_a_document_that_is_no_mapping():
    document = read_yaml("just text", "a.yaml")
    override(document, ["a=1"])
    assert "the document is 'just text', which has no 'a'" in str(document.problems[0])
