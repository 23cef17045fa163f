import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from awlab.record import claim as module
from awlab.record.claim import (
    STALE_SECONDS,
    ClaimedElsewhereError,
    Holder,
    claim,
    living_holder,
)


def hold_in_another_process(folder: Path) -> subprocess.Popen[str]:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom awlab.record.claim import claim\n"
        "with claim(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    return holder


def write_claim(folder: Path, host: str, *, age: float) -> None:
    path = folder / "claims" / "000007.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"host": host, "pid": 1, "started": 0}))
    os.utime(path, (time.time() - age, time.time() - age))


def test_a_claim_is_held_and_released(tmp_path: Path) -> None:
    assert living_holder(tmp_path) is None
    with claim(tmp_path):
        assert living_holder(tmp_path) == Holder.here()
        with pytest.raises(ClaimedElsewhereError, match=f"executed by process {os.getpid()}"):
            claim(tmp_path).__enter__()
    assert living_holder(tmp_path) is None
    with claim(tmp_path):
        pass
    assert len(list((tmp_path / "claims").iterdir())) == 1


@pytest.mark.fault
def test_a_killed_holder_loses_its_claim_at_once(tmp_path: Path) -> None:
    holder = hold_in_another_process(tmp_path)
    with pytest.raises(ClaimedElsewhereError):
        claim(tmp_path).__enter__()
    holder.send_signal(signal.SIGKILL)
    while living_holder(tmp_path):  # A zombie is dead, although nobody waited for it.
        time.sleep(0.01)
    with claim(tmp_path):
        assert living_holder(tmp_path) == Holder.here()
    holder.communicate()


@pytest.mark.fault
def test_a_later_process_with_the_same_number_is_not_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "000001.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": 1}))
    assert living_holder(tmp_path) is None


def test_a_holder_on_another_machine_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    write_claim(tmp_path, "elsewhere", age=module.STALE_SECONDS / 2)
    with pytest.raises(ClaimedElsewhereError, match="process 1 on elsewhere"):
        claim(tmp_path).__enter__()
    path = tmp_path / "claims" / "000007.json"
    os.utime(path, (0, 0))
    with claim(tmp_path):
        assert living_holder(tmp_path) == Holder.here()


def test_the_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    with claim(tmp_path):
        path = next((tmp_path / "claims").glob("*.json"))
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


def contend(folder: Path, start: threading.Barrier, wins: "multiprocessing.Queue[int]") -> None:
    start.wait()
    try:
        with claim(folder):
            wins.put(os.getpid())
            time.sleep(0.5)
    except ClaimedElsewhereError:
        wins.put(0)


@pytest.mark.fault
def test_one_of_many_contenders_takes_a_stale_claim(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        write_claim(folder, "elsewhere", age=1e6)
        start, wins = context.Barrier(6), context.Queue()
        contenders = [context.Process(target=contend, args=(folder, start, wins)) for _ in range(6)]
        for process in contenders:
            process.start()
        outcome = [wins.get(timeout=60) for _ in contenders]
        for process in contenders:
            process.join()
        assert sum(pid > 0 for pid in outcome) == 1


@pytest.mark.fault
@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_clock_that_jumps_takes_no_claim_from_a_living_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """Ages are measured by the clock of the disk, which the heartbeats were written with."""
    folder = tmp_path / "claims"
    folder.mkdir()
    beat = folder / "000001.json"
    beat.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 0}))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    assert living_holder(tmp_path) == Holder("elsewhere", 1, 0)
    silent = now - STALE_SECONDS - 1
    os.utime(beat, (silent, silent))
    assert living_holder(tmp_path) is None
    assert [path.name for path in folder.iterdir()] == ["000001.json"]
