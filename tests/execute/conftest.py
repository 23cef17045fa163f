from pathlib import Path

import pytest

from awlab.plan import Plan, plan
from awlab.spec.ablation import Ablation


@pytest.fixture
def tiny_plan(tmp_path: Path) -> Plan:
    """Two axes, four cells, two seeds, on digits; nothing has run."""
    ablation = {
        "name": "tiny",
        "base": {
            "name": "tiny",
            "model": {"kind": "resnet", "depth": 18, "width": 2, "stem": "cifar"},
            "data": {"kind": "digits"},
            "training": {"epochs": 1, "batch_size": 128, "optimizer": {"kind": "sgd", "lr": 0.1}},
            "runtime": {"root": str(tmp_path / "runs"), "gradcam_images": 0, "wandb": "disabled"},
        },
        "axes": {
            "conv": {"path": "model.conv", "values": {"plain": None, "aw": {"kind": "aw"}}},
            "lr": {"path": "training.optimizer.lr", "values": [0.1, 0.2]},
        },
        "baseline": {"conv": "plain", "lr": 0.1},
        "seeds": 2,
    }
    return plan(Ablation.model_validate(ablation))
