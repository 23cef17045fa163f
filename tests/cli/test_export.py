"""That a study becomes a sweep is tested with the other verbs of studies."""

import json
from pathlib import Path

import pytest

from awlab.train import export
from awlab.train.export import Exported


def test_a_run_is_exported(invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pretend(folder, to, **settings):
        asked.append((folder, to, settings))
        return Exported(Path("net.onnx"), 1e-6)

    monkeypatch.setattr(export, "export_run", pretend)
    code, out, _ = invoke("export", str(tmp_path), "--to", "onnx", "--weights", "best")
    assert (code, out) == (0, "net.onnx: differs from the network by 1.0e-06\n")
    assert asked == [(tmp_path, "onnx", {"weights": "best", "output": None})]
    document = json.loads(invoke("export", str(tmp_path), "--to", "torch", "--json")[1])
    assert document == {"file": "net.onnx", "difference": 1e-6}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny.yaml", "--to", "onnx"], "--to onnx needs a run directory, which tiny.yaml is not"),
        (
            [".", "--to", "wandb-sweep"],
            "--to wandb-sweep needs the YAML file of a study",
        ),
        ([".", "seeds=3", "--to", "torch"], "seeds=3: a run is exported as it is; leave it out"),
        (
            ["tiny.yaml", "--to", "wandb-sweep", "--weights", "best"],
            "--weights is for runs",
        ),
        (["tiny.yaml", "--to", "wandb-sweep", "--output", "a"], "--output is for runs; a study is"),
        (["tiny.yaml", "--to", "wandb-sweep", "--json"], "--json is for runs; a study is printed"),
        ([".", "--to", "torch"], "is not a run directory"),
    ],
)
def test_what_is_refused(invoke, study_file: Path, arguments: list[str], message: str) -> None:
    code, _, err = invoke("export", *arguments)
    assert (code, message in err) == (2, True), err
