from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from awlab.nn.sync_batch_norm import SyncBatchNorm
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.train.devices import Devices, Division
from awlab.train.parts import build_module, prepare_data

CPU = Devices("cpu", 1)


def test_data_come_in_the_parts_of_the_division(tiny: Callable[..., Experiment]) -> None:
    data = prepare_data(tiny(), Division(images=20, accumulation=3))
    images, labels = next(iter(data.train_dataloader()))
    assert (images.shape, labels.shape) == ((20, 1, 8, 8), (20,))


def test_missing_data_are_missed_at_once(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    experiment = tiny(data={"kind": "cifar10"}, runtime={"data_root": str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match="nowhere"):
        prepare_data(experiment, Division(images=20, accumulation=1))


def test_only_ranks_that_train_together_share_batch_statistics(
    tiny: Callable[..., Experiment],
) -> None:
    def synchronised(devices: Devices, **training: bool) -> bool:
        module = build_module(tiny(training=training), devices, train_size=100)
        return any(isinstance(part, SyncBatchNorm) for part in module.modules())

    assert not synchronised(CPU)
    assert synchronised(Devices("cpu", 2))
    assert not synchronised(Devices("cpu", 2), sync_batchnorm=False)


def test_memory_format(tiny: Callable[..., Experiment]) -> None:
    experiment = tiny(runtime={"channels_last": True})
    module = build_module(experiment, CPU, train_size=100)
    assert module.memory_format is torch.channels_last
    assert build_module(tiny(), CPU, train_size=100).memory_format is torch.contiguous_format


def test_a_number_format_that_the_device_lacks(tiny: Callable[..., Experiment]) -> None:
    with pytest.raises(InputError, match="16-mixed needs a GPU"):
        build_module(tiny(training={"precision": "16-mixed"}), CPU, train_size=100)
