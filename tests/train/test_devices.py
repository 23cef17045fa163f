import os

import pytest
import torch

from awlab.spec.errors import InputError
from awlab.spec.runtime import Runtime
from awlab.train.devices import Devices, Division, choose_devices, divide


@pytest.fixture
def gpus(monkeypatch):
    return lambda count: monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def choose(world_size=None, local_size=None, **fields):
    return choose_devices(Runtime(**fields), world_size=world_size, local_size=local_size)


def test_auto_is_one_process_on_a_cpu(gpus):
    gpus(0)
    assert choose() == Devices("cpu", 1)


def test_auto_is_all_gpus(gpus):
    gpus(4)
    assert choose() == Devices("gpu", 4)
    assert choose(accelerator="cpu") == Devices("cpu", 1)


def test_auto_is_what_was_started(gpus):
    gpus(0)
    assert choose(world_size=2, local_size=1) == Devices("cpu", 2)


def test_more_gpus_than_there_are(gpus):
    gpus(2)
    with pytest.raises(InputError, match=r"devices \(=3\) must be from 1 to .* GPUs .* \(2\)"):
        choose(devices=3)


def test_more_cpu_processes_than_cores(gpus, monkeypatch):
    gpus(0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert choose(devices=2) == Devices("cpu", 2)
    with pytest.raises(InputError, match=r"devices \(=3\) must be from 1 to .* CPU cores \(2\)"):
        choose(devices=3)


def test_no_gpu(gpus):
    gpus(0)
    with pytest.raises(InputError, match=r"accelerator is gpu, but torch sees no GPU"):
        choose(accelerator="gpu")


def test_other_processes_than_asked_for(gpus):
    gpus(0)
    with pytest.raises(InputError, match=r"devices \(=2\) must be the number .* started \(=4\)"):
        choose(devices=2, world_size=4, local_size=4)


@pytest.mark.parametrize(
    ("batch_size", "devices", "max_images", "expected"),
    [
        (128, 1, None, Division(128, 1)),
        (128, 2, None, Division(64, 1)),
        (128, 2, 100, Division(64, 1)),
        (128, 2, 16, Division(16, 4)),
        (12, 3, 1, Division(1, 4)),
    ],
)
def test_the_batch_is_divided_evenly(batch_size, devices, max_images, expected):
    division = divide(batch_size, devices=devices, max_images=max_images)
    assert division == expected
    assert division.images * division.accumulation * devices == batch_size


def test_a_batch_that_does_not_divide_over_devices():
    with pytest.raises(InputError, match=r"batch_size \(=10\) must be a multiple of .* \(=4\)"):
        divide(10, devices=4, max_images=None)


def test_a_batch_that_does_not_divide_into_micro_batches():
    with pytest.raises(
        InputError, match=r"max_images_per_device \(=20\) must divide .* \(=64 .* that does is 16"
    ):
        divide(128, devices=2, max_images=20)
