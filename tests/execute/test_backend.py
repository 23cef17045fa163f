import os
from pathlib import Path

import pytest

from awlab.execute import backend, child
from awlab.execute.backend import Local
from awlab.execute.child import FreshChild, WarmChild
from awlab.execute.devices import Devices, Share


@pytest.mark.parametrize(
    ("devices", "kind"),
    [
        (Devices(), WarmChild),
        (Devices(devices_per_run=2), FreshChild),
        (Devices(["0"]), FreshChild),
    ],
)
def test_runs_of_one_cpu_process_are_warm(
    monkeypatch: pytest.MonkeyPatch, devices: Devices, kind: type
) -> None:
    for made in (WarmChild, FreshChild):
        monkeypatch.setattr(backend, made.__name__, lambda *_, made=made: made)
    assert Local(devices).start(["run"], Share((), 1), Path("log.txt")) is kind


def test_a_function_is_called_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "PRELOAD", ("awlab.execute.server",))
    share, log = Share((), 3), tmp_path / "log.txt"
    pid = Local(Devices()).call("os:getpid", (), share, log).result()
    threads = Local(Devices()).call("os:getenv", ("OMP_NUM_THREADS",), share, log).result()
    assert pid != os.getpid()
    assert threads == "3"
