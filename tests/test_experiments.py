"""An experiment at ImageNet's scale is trained on a folder of ImageNet's layout, made small."""

from pathlib import Path

import pytest

from awlab.spec.load import load_experiment
from awlab.train.fit import run

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


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
