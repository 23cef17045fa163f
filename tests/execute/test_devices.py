import stat
from pathlib import Path

import pytest

from awlab.execute.devices import Devices, Share, choose_gpus, visible_gpus
from awlab.spec.errors import InputError


def test_cpu_runs_share_the_cores() -> None:
    devices = Devices(runs_at_once=2, cores=9)
    shares = [devices.lend(), devices.lend()]
    assert shares == [Share((), 4), Share((), 4)]
    assert devices.lend() is None
    devices.take_back(Share((), 4))
    assert devices.lend() == Share((), 4)


def test_more_runs_than_cores_get_one_thread_each() -> None:
    assert Devices(runs_at_once=8, cores=2).threads == 1


def test_processes_of_one_run_share_its_threads() -> None:
    assert Devices(devices_per_run=2, cores=8).threads == 4


def test_gpus_are_lent_together_and_in_order() -> None:
    devices = Devices(["4", "5", "6"], devices_per_run=2, cores=6)
    assert devices.capacity == 1
    assert devices.lend() == Share(("4", "5"), 3)
    assert devices.lend() is None


def test_the_least_busy_gpu_is_lent_first() -> None:
    devices = Devices(["0", "1"], runs_at_once=2)
    lent = [devices.lend() for _ in range(5)]
    assert [share and share.devices for share in lent] == [("0",), ("1",), ("0",), ("1",), None]
    assert lent[1]
    devices.take_back(lent[1])
    again = devices.lend()
    assert again
    assert again.devices == ("1",)


def test_more_devices_per_run_than_there_are() -> None:
    with pytest.raises(InputError, match=r"devices per run \(=3\).*\(=2: 0, 1\)"):
        Devices(["0", "1"], devices_per_run=3)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("cpu", ()), ("all", ("0", "2", "3")), (None, ("0", "2", "3")), ("0,2-3", ("0", "2", "3"))],
)
def test_choose_gpus(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,3")
    assert choose_gpus(wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("1", "no GPU 1; visible are 0"), ("x", "expected all, cpu, or numbers"), ("2-", "expected")],
)
def test_choose_gpus_refuses(monkeypatch: pytest.MonkeyPatch, wanted: str, message: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(InputError, match=message):
        choose_gpus(wanted)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_not_there(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert visible_gpus() == ()


def test_gpus_are_listed_by_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert visible_gpus() == ("0", "1")
    monkeypatch.setenv("PATH", "")
    assert visible_gpus() == ()
