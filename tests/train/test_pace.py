import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor, nn

from awlab import build
from awlab.spec.experiment import Experiment
from awlab.train import pace
from awlab.train.pace import estimate

SECONDS = 0.05


class Slow(nn.Module):
    """A network of 650 numbers whose forward pass in training takes a known time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.passes = 0

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.passes += 1
            time.sleep(SECONDS)
        return self.layer(images.flatten(1))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(build, "network", lambda experiment, begin: made)
    return made


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_run_takes_its_steps_at_the_pace_of_a_few(
    tiny: Callable[..., Experiment],
    slow: Slow,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    accumulation: int,
) -> None:
    monkeypatch.setattr(pace, "SECONDS", 0.2)
    experiment = tiny(
        training={"epochs": 10, "batch_size": 60},
        runtime={"max_images_per_device": 60 // accumulation},
    )
    images = build.build_data(
        experiment.data, root=tmp_path, batch_size=60, seed=0, workers=0, download=False
    ).train_size
    found = estimate(experiment)
    steps = 10 * images / 60
    assert steps * accumulation * SECONDS < found.seconds < 3 * steps * accumulation * SECONDS
    assert slow.passes < accumulation * (pace.WARM_UP + pace.MOST)
    assert list(tmp_path.iterdir()) == []


def test_a_run_keeps_weights_and_state_of_the_optimizer(
    tiny: Callable[..., Experiment], slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MOST", pace.FEWEST)
    experiment = tiny(training={"optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9}})
    found = estimate(experiment)
    numbers = sum(parameter.numel() for parameter in slow.parameters())
    assert 2 * 4 * numbers <= found.bytes / pace.CHECKPOINTS <= 2 * 4 * numbers + 1000
