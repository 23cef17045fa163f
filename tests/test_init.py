import ast
import subprocess
import sys
from pathlib import Path

import pytest

import awlab
from awlab.spec.experiment import Experiment

EXPERIMENT = """
name: a
model: {kind: wide_resnet, depth: 10, conv: {kind: aw}}
data: {kind: digits}
training: {epochs: 1, batch_size: 8, optimizer: {kind: sgd, lr: 0.1}}
"""


def loaded_by(code):
    """The modules that a fresh interpreter has after some code."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_import_is_light():
    assert not {"torch", "lightning", "wandb", "pydantic", "yaml"} & loaded_by("import awlab")


def test_loading_an_experiment_needs_no_torch(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(EXPERIMENT)
    code = (
        f"import awlab; experiment = awlab.load_experiment({str(path)!r}); awlab.dump(experiment)"
    )
    modules = loaded_by(f"{code}; experiment.id; awlab.json_schema('ablation')")
    assert "pydantic" in modules
    assert not {"torch", "torchvision", "lightning", "torchmetrics", "wandb", "numpy"} & modules


def test_public_names():
    assert dir(awlab) == [
        "Ablation",
        "Attention",
        "Conv",
        "Data",
        "Experiment",
        "Family",
        "Model",
        "Optimizer",
        "Problem",
        "Schedule",
        "Spec",
        "SpecError",
        "convert",
        "dump",
        "json_schema",
        "load_experiment",
    ]
    assert awlab.Experiment is Experiment
    assert callable(awlab.load_experiment)
    assert callable(awlab.convert)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(awlab.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        str(alias.asname)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(dir(awlab))
    homes = {name: getattr(awlab, name).__module__ for name in imported}
    assert homes.pop("convert") == "awlab.models.convert"
    assert all(home.startswith("awlab.spec.") for home in homes.values())


def test_unknown_names():
    with pytest.raises(AttributeError, match="module 'awlab' has no attribute 'Experimnt'"):
        _ = awlab.Experimnt  # pyright: ignore[reportAttributeAccessIssue]
