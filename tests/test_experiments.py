"""Every shipped experiment builds; one at ImageNet's scale is trained on a folder made small."""

from pathlib import Path

import pytest
import torch

from awlab import build
from awlab.spec.load import load_experiment
from awlab.train.fit import run

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_experiment_builds(path):
    experiment = load_experiment(path)
    data = experiment.data
    with torch.device("meta"):
        network = build.network(experiment).eval()
        logits = network(torch.empty(1, data.channels, data.image_size, data.image_size))
    assert logits.shape == (1, data.num_classes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_experiment_says_where_it_is_from_and_how_to_run_it(path):
    text = path.read_text()
    comment = text[: text.index("\nname: ")]
    assert all(line.startswith("# ") for line in comment.splitlines())
    assert "% top-1 error" in comment
    assert f"Run: awlab run experiments/{path.name}" in comment
    assert load_experiment(path).name == path.stem


@pytest.mark.parametrize("name", ["imagenet_aw_se_mobilenet"])
def test_a_row_of_table_1_trains_on_an_image_folder(
    name: str, small_image_folder: Path, tmp_path: Path
) -> None:
    made_small = [
        "model.width=0.1",
        "data.folder=pets",
        "data.classes=3",
        "data.size=32",
        "data.resize=36",
        "data.validation_fraction=0.25",
        "training.epochs=1",
        "training.batch_size=9",
        "training.precision=32-true",
        f"runtime.data_root={small_image_folder}",
        f"runtime.root={tmp_path / 'runs'}",
        "runtime.accelerator=cpu",
        "runtime.workers=0",
        "runtime.wandb=disabled",
        "runtime.gradcam_images=0",
    ]
    result = run(load_experiment(EXPERIMENTS / f"{name}.yaml", made_small), console=None)
    assert result is not None
    assert result.steps == 2
    assert 0 <= result.metrics["test/top1_error"] <= 100
