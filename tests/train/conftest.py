"""Tiny runs that the tests of training share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from awlab.record.run_directory import RunDirectory
from awlab.spec.experiment import Experiment
from awlab.spec.load import parse

ExperimentFactory = Callable[..., Experiment]


@pytest.fixture
def tiny(tmp_path: Path) -> ExperimentFactory:
    """Make an experiment of seconds: `tiny(seed=1, training={...}, runtime={...}, model={...})`."""

    def make(
        *,
        seed: int = 0,
        model: dict[str, Any] | None = None,
        training: dict[str, Any] | None = None,
        runtime: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Experiment:
        network = {"kind": "wide_resnet", "depth": 10, "width": 1, "dropout": 0.2}
        recipe = {
            "epochs": 2,
            "batch_size": 250,
            "optimizer": {"kind": "sgd", "lr": 0.05},
            "schedule": {"kind": "cosine", "warmup_epochs": 1},
        }
        place = {"root": str(tmp_path / "runs"), "wandb": "disabled", "gradcam_images": 0}
        return parse(
            Experiment,
            {
                "name": "tiny",
                "model": model or network,
                "data": {"kind": "digits"},
                "training": recipe | (training or {}),
                "seed": seed,
                "runtime": place | (runtime or {}),
                **fields,
            },
        )

    return make


@pytest.fixture
def weights() -> Callable[[Experiment], dict[str, torch.Tensor]]:
    """Read the last weights of a run, those of the average and those that are trained."""

    def read(experiment: Experiment) -> dict[str, torch.Tensor]:
        path = RunDirectory.of(experiment).last_checkpoint
        checkpoint = torch.load(path, weights_only=True)
        trained = checkpoint.get("current_model_state", {})
        return checkpoint["state_dict"] | {f"trained.{name}": trained[name] for name in trained}

    return read


@pytest.fixture
def tiny_detection(tiny: ExperimentFactory) -> ExperimentFactory:
    """Make an experiment with a detector; like `tiny`."""

    def make(*, model: dict[str, Any] | None = None, **changes: Any) -> Experiment:
        network = {
            "kind": "faster_rcnn",
            "backbone": {"depth": 18, "width": 2},
            "fpn_channels": 16,
            "fpn_conv": {"kind": "aw", "norm": "layer", "min_hidden": 4},
            "fpn_attention": {"kind": "se"},
            "min_sizes": [32],
            "max_size": 32,
            "anchor_sizes": [8, 12, 16, 20, 24],
            "proposals": 10,
            "regions": 8,
            "hidden": 8,
        }
        scenes = {"train_images": 12, "validation_images": 4, "test_images": 5}
        data = {"kind": "digit_scenes", **scenes, "size": 32, "digit_sizes": [12, 20]}
        recipe = {"batch_size": 4, "optimizer": {"kind": "sgd", "lr": 0.01}} | changes.pop(
            "training", {}
        )
        return tiny(model=network | (model or {}), data=data, training=recipe, **changes)

    return make
