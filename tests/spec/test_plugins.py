import sys

import pytest

from awlab.spec.errors import SpecError
from awlab.spec.plugins import import_plugins
from awlab.spec.read_yaml import read_yaml

PLUGIN_OF_A_TAKEN_KIND = """
from typing import Literal
from awlab import Attention
class Mine(Attention):
    kind: Literal["se"] = "se"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory with plugins; what they change in the interpreter is taken back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def load(text):
    import_plugins(read_yaml(text, "a.yaml"))


def test_modules_of_the_working_directory_are_imported(folder):
    (folder / "plugin_lab").mkdir()
    (folder / "plugin_lab" / "gated.py").write_text("")
    load("plugins: [plugin_lab.gated]")
    assert "plugin_lab.gated" in sys.modules
    assert sys.path[0] == str(folder)


def test_the_plugins_of_the_base_of_an_ablation_are_imported(folder):
    (folder / "plugin_of_base.py").write_text("")
    load("base: {plugins: [plugin_of_base]}")
    assert "plugin_of_base" in sys.modules


def test_without_plugins_the_path_stays(folder):
    load("plugins: []")
    load("name: x")
    load("base: x.yaml")
    load("[1]")
    assert str(folder) not in sys.path


@pytest.mark.fault
@pytest.mark.parametrize("name", ["'a b'", "1x", "../x", "a.", "5", "{a: b}", ".", "os;x"])
def test_what_is_no_name_of_a_module_is_left_to_validation(name):
    before = set(sys.modules)
    load(f"plugins: [{name}]")
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (
            "x = 1\nx.y\n",
            r"AttributeError: 'int' object has no attribute 'y' \(broken.py, line 2\)",
        ),
        ("import nowhere_at_all", r"No module named 'nowhere_at_all' \(broken.py, line 1\)"),
        ("def", r"SyntaxError: invalid syntax \(broken.py, line 1\)"),
        ("raise SystemExit(3)", r"SystemExit: 3 \(broken.py, line 1\)"),
        ("raise ValueError('a\\n\\n  b')", r"ValueError: a b \(broken.py, line 1\)"),
        (
            PLUGIN_OF_A_TAKEN_KIND,
            "ValueError: broken.Mine: the attention kind 'se' is already taken by awlab.spec",
        ),
    ],
)
def test_a_plugin_that_fails_is_one_problem_at_its_place(folder, source, cause):
    (folder / "broken.py").write_text(source)
    with pytest.raises(SpecError, match=cause) as caught:
        load("name: x\nplugins: [json, broken]")
    (problem,) = caught.value.problems
    assert problem.message.startswith("the plugin 'broken' cannot be imported: ")
    assert (problem.path, problem.line, problem.column) == ("plugins.1", 2, 17)


def test_a_plugin_that_is_not_there():
    message = "the plugin 'not_there' cannot be imported: ModuleNotFoundError: No module named 'not"
    with pytest.raises(SpecError, match=message) as caught:
        load("plugins: [not_there]")
    assert "line" not in caught.value.problems[0].message


def test_problems_known_before_are_not_lost():
    with pytest.raises(SpecError, match="duplicate key") as caught:
        load("name: x\nname: y\nplugins: [not_there]")
    assert len(caught.value.problems) == 2
