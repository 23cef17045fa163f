"""The README does what it says."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from awlab import complexity
from awlab.build import network
from awlab.plan import load_ablation, plan
from awlab.spec.experiment import Experiment
from awlab.spec.load import load, load_experiment
from awlab.spec.schema import json_schema

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(language: str, contains: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(text for text in found if contains in text)


@pytest.fixture
def mylab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's package: their layer, and the plugin exactly as the README shows it."""
    package = tmp_path / "mylab"
    package.mkdir()
    (package / "gate.py").write_text(block("python", "class Gate"))
    (package / "layers.py").write_text(
        "import torch\n\n"
        "class ChannelGate(torch.nn.Module):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__()\n"
        "        self.logit = torch.nn.Parameter(torch.zeros(channels, 1, 1))\n"
        "    def forward(self, x):\n"
        "        return x * self.logit.sigmoid()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    importlib.import_module("awlab.spec").Attention.members.pop("gate", None)
    for name in [name for name in sys.modules if name.startswith("mylab")]:
        del sys.modules[name]


def test_the_plugin_is_nine_lines() -> None:
    lines = [line for line in block("python", "class Gate").splitlines() if line.strip()]
    assert len(lines) == 9


def test_the_plugin_as_written_is_a_legal_value(mylab: Path) -> None:
    file = mylab / "gated.yaml"
    file.write_text(
        "name: gated\nplugins: [mylab.gate]\n"
        "model: {kind: resnet, depth: 18, width: 4, stem: cifar, attention: {kind: gate}}\n"
        "data: {kind: digits}\n"
        "training: {epochs: 1, batch_size: 8, optimizer: {kind: sgd, lr: 0.1}}\n"
    )
    gated = network(load_experiment(file))
    assert sum(type(module).__name__ == "ChannelGate" for module in gated.modules()) == 8
    assert gated(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert "'gate'" in str(json_schema("experiment")).replace('"', "'")


def test_the_experiment_as_written_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(block("yaml", "name: cifar100_aw_se_resnet50"))
    experiment = load(file, ["training.epochs=5", "model.conv.f2=product"], Experiment)
    assert experiment.training.epochs == 5


ROWS = re.findall(r"^\| [^|]+ \| `(\S+\.yaml)` \| ([\d.]+) M \| ([\d,]+) \|$", README, re.MULTILINE)


def test_the_table_has_all_rows() -> None:
    assert len(ROWS) == 11


@pytest.mark.parametrize(("file", "printed", "ours"), ROWS)
def test_the_table_of_the_paper(file: str, printed: str, ours: str) -> None:
    experiment = load_experiment(ROOT / "experiments" / file)
    parameters = complexity.profile(experiment).total.parameters
    assert f"{parameters:,}" == ours
    assert f"{parameters / 1e6:.2f}" == printed
    assert experiment.paper
    assert f"{experiment.paper.parameters_m:.2f}" == printed


@pytest.mark.parametrize("path", re.findall(r"\]\((docs/[^)#]+)", README))
def test_what_it_links_to_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_it_has_the_two_commands_exactly() -> None:
    lines = README.splitlines()
    assert "pip install -e '.[demo]' && awlab run experiments/quickstart.yaml" in lines
    assert "pip install -e '.[test]' && pytest" in lines


def test_the_study_of_the_page_on_ablations_is_planned(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "ablations.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found
    file = tmp_path / "study.yaml"
    file.write_text(found[1].replace("../experiments", str(ROOT / "experiments")))
    study = plan(load_ablation(file))
    assert [cell.excluded is not None for cell in study.cells].count(True) == 1
    assert len(study.runs) == 5 * 9


def test_a_plugin_is_a_value_of_an_axis(mylab: Path) -> None:
    file = mylab / "study.yaml"
    file.write_text(
        "name: gates\n"
        "base:\n"
        "  name: gates\n  plugins: [mylab.gate]\n"
        "  model: {kind: resnet, depth: 18, width: 4, stem: cifar}\n"
        "  data: {kind: digits}\n"
        "  training: {epochs: 1, batch_size: 8, optimizer: {kind: sgd, lr: 0.1}}\n"
        "axes:\n"
        "  gate:\n    path: model.attention\n"
        "    values: {none: null, se: {kind: se}, gate: {kind: gate}}\n"
        "baseline: none\nseeds: 2\n"
    )
    study = plan(load_ablation(file))
    assert [cell.name for cell in study.cells] == ["none", "se", "gate"]
    assert network(study["gate"].runs[0].experiment)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
