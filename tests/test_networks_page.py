"""Every snippet of the page on networks does what it says."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from awlab import build
from awlab.cli import app
from awlab.record.run_directory import RunDirectory
from awlab.spec.attention import Attention
from awlab.spec.conv import Conv
from awlab.spec.experiment import Experiment
from awlab.spec.load import parse
from awlab.spec.model import Model
from awlab.spec.read_yaml import read_yaml
from awlab.train.checkpoint import AtomicCheckpointIO

PAGE = (Path(__file__).parents[1] / "docs" / "networks.md").read_text()
SNIPPETS = re.findall(r"<!-- tested: (\w+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
RUN = "runs/photos-1a2b3c4d5e"


def experiment(model: dict) -> Experiment:
    return parse(
        Experiment,
        {
            "name": "photos",
            "model": model,
            "data": {"kind": "photo_patches", "train_patches": 10, "test_patches": 10},
            "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
        },
    )


@pytest.fixture
def with_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the run that the page names, of a network without AW-convolutions."""
    monkeypatch.chdir(tmp_path)
    spec = experiment({"kind": "resnet", "depth": 18, "width": 8, "stem": "cifar"})
    directory = RunDirectory(RUN)
    directory.create(spec)
    state = {f"network.{name}": value for name, value in build.network(spec).state_dict().items()}
    checkpoint = {"experiment": spec.model_dump(mode="json"), "state_dict": state}
    AtomicCheckpointIO().save_checkpoint(checkpoint, directory.last_checkpoint)


def snippets(kind: str) -> list[str]:
    return [text for found, text in SNIPPETS if found == kind]


def test_every_snippet_is_tested() -> None:
    assert len(SNIPPETS) == PAGE.count("```") // 2 == 7
    assert {kind for kind, _ in SNIPPETS} == {"model", "run", "cli"}


@pytest.mark.usefixtures("with_run")
def test_the_models_are_built() -> None:
    pytest.importorskip("timm")
    for text in snippets("model"):
        spec = experiment(read_yaml(text, "page").data["model"])
        device = "meta" if "pretrained" in text else "cpu"  # Nothing is fetched in a test.
        with torch.device(device):
            assert build.network(spec).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.slow
@pytest.mark.usefixtures("with_run")
def test_weights_go_out_and_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    for line in snippets("cli")[0].splitlines():
        verb, *arguments = shlex.split(line)
        done = CliRunner().invoke(app, arguments)
        assert (verb, done.exit_code) == ("awlab", 0), done.output
    names: dict = {}
    capsys.readouterr()
    for text in snippets("run"):
        exec(text, names)
    assert tuple(names["logits"].shape) == (5, 10)
    assert names["weights"]
    promised = re.search(r"print\(names\)  # (.*)", PAGE)
    assert promised
    assert capsys.readouterr().out.splitlines()[0] == promised[1]


def test_all_kinds_are_on_the_page() -> None:
    for family in (Model, Conv, Attention):
        for kind, member in family.members.items():
            if member.__module__.startswith("awlab."):
                assert f"`{kind}`" in PAGE, kind
