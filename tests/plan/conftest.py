import copy

import pytest

from awlab.spec.ablation import Ablation
from awlab.spec.load import parse

BASE = {
    "name": "base",
    "model": {"kind": "resnet", "depth": 18, "width": 4, "stem": "cifar", "conv": {"kind": "aw"}},
    "data": {"kind": "digits"},
    "training": {"epochs": 1, "batch_size": 64, "optimizer": {"kind": "sgd", "lr": 0.1}},
}
AXES = {
    "f2": {"path": "model.conv.f2", "values": ["residual", "product"]},
    "r": {"path": "model.conv.reduction", "values": [8, 16, 32]},
}


@pytest.fixture
def study(tmp_path):
    """Make an ablation of F2 (2 values) and r (3 values), with changes."""

    def make(**changes):
        base = copy.deepcopy(BASE) | {"runtime": {"root": str(tmp_path / "runs")}}
        data = {
            "name": "study",
            "base": base,
            "axes": AXES,
            "baseline": {"f2": "residual", "r": 16},
            "seeds": 2,
        }
        return parse(Ablation, data | changes)

    return make
