from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from awlab import build
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.train.smoke import STEPS, smoke


class Linear(nn.Module):
    """A network that counts what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.error = error
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shapes.append(tuple(images.shape))
        if self.error is not None:
            raise self.error
        return self.layer(images.flatten(1))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Linear]:
    def use(error: Exception | None = None) -> Linear:
        made = Linear(error)
        monkeypatch.setattr(build, "network", lambda experiment, begin: made)
        return made

    return use


def test_two_steps_of_the_real_batch_and_nothing_is_written(
    tiny: Callable[..., Experiment], network: Callable[..., Linear], tmp_path: Path
) -> None:
    made = network()
    before = made.layer.weight.detach().clone()
    assert smoke(tiny(training={"batch_size": 60, "ema": {"decay": 0.9}})) is None
    assert made.shapes == [(60, 1, 8, 8)] * (STEPS + 1)  # One to validate.
    assert not torch.equal(made.layer.weight, before)
    assert list(tmp_path.iterdir()) == []


def test_the_part_of_a_batch_that_one_device_gets(
    tiny: Callable[..., Experiment], network: Callable[..., Linear]
) -> None:
    made = network()
    experiment = tiny(training={"batch_size": 60}, runtime={"max_images_per_device": 10})
    assert smoke(experiment, devices=2) is None
    assert made.shapes == [(10, 1, 8, 8)] * (3 * STEPS + 1)


def test_too_little_memory_is_told_with_what_helps(
    tiny: Callable[..., Experiment], network: Callable[..., Linear]
) -> None:
    network(torch.OutOfMemoryError("tried to allocate 80 GiB"))
    found = smoke(tiny())
    assert found is not None
    kind, story = found
    assert kind == "out of memory"
    assert story.startswith("tried to allocate 80 GiB\nSet runtime.max_images_per_device")


def test_an_error_is_told_with_its_traceback(
    tiny: Callable[..., Experiment], network: Callable[..., Linear]
) -> None:
    network(KeyError("gate"))
    found = smoke(tiny())
    assert found is not None
    kind, story = found
    assert kind == "error"
    assert "raise self.error" in story


def test_what_the_user_can_mend_is_raised(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    experiment = tiny(data={"kind": "cifar10"}, runtime={"data_root": str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match="nowhere"):
        smoke(experiment)
