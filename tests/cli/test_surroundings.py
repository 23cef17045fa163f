import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awlab.cli import app

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def invoke(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout, done.stderr


def test_validate_says_all_that_is_wrong_in_all_files(tmp_path: Path) -> None:
    good, bad = EXPERIMENTS / "cifar100_aa.yaml", tmp_path / "bad.yaml"
    bad.write_text(good.read_text().replace("epochs:", "epoch:").replace("name:", "nam:"))
    code, out, _ = invoke("validate", str(good), str(bad), str(tmp_path / "missing.yaml"))
    assert code == 2
    assert f"{good}: valid" in out
    assert f"{bad}:" in out
    assert "Did you mean 'epochs'?" in out
    assert "Did you mean 'name'?" in out
    assert "no such file" in out


def test_validate_as_json(tmp_path: Path) -> None:
    good = str(EXPERIMENTS / "cifar100_aa.yaml")
    code, out, _ = invoke("validate", good, "--json")
    assert (code, json.loads(out)) == (0, {good: []})


@pytest.mark.parametrize("kind", ["experiment", "ablation"])
def test_schema(kind: str) -> None:
    code, out, _ = invoke("schema", kind)
    assert code == 0
    assert json.loads(out)["type"] == "object"


def test_schema_of_something_else() -> None:
    code, _, error = invoke("schema", "sweep")
    assert code == 2
    assert "experiment" in error


def test_list_kinds_with_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cli_plugin.py").write_text(
        "from typing import Literal\nfrom awlab.spec import Attention\n"
        "class Gate(Attention):\n    '''A gate of my own.'''\n\n    kind: Literal['cli_gate']\n"
    )
    monkeypatch.chdir(tmp_path)
    code, out, _ = invoke("list", "kinds", "--plugin", "cli_plugin", "--json")
    assert code == 0
    found = {"family": "attention", "kind": "cli_gate", "what": "A gate of my own."}
    assert found in json.loads(out)
    Attention = __import__("awlab.spec").spec.Attention
    del Attention.members["cli_gate"]


def test_list_kinds_with_a_plugin_that_fails() -> None:
    code, _, error = invoke("list", "kinds", "--plugin", "no_such_plugin")
    assert code == 2
    assert error.startswith("error: ")
    assert "the plugin 'no_such_plugin' cannot be imported" in error


def test_list_runs(tmp_path: Path) -> None:
    assert invoke("list", "--root", str(tmp_path))[:2] == (0, f"no runs in {tmp_path}\n")
    assert json.loads(invoke("list", "runs", "--root", str(tmp_path), "--json")[1]) == []


def test_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    code, out, _ = invoke("doctor", "--json")
    checks = {check["name"]: check["verdict"] for check in json.loads(out)}
    assert checks["torch"] == "ok"
    assert code == ("problem" in checks.values())
    assert "torch" in invoke("doctor")[1]
