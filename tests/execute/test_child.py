import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from awlab.execute import child as module
from awlab.execute.child import Child, FreshChild, WarmChild, environment
from awlab.execute.devices import Share

SHARE = Share((), 1)


@pytest.fixture(autouse=True)
def _torch_is_not_preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PRELOAD", ("awlab.execute.server",))


def wait(child: Child, seconds: float = 60) -> int:
    deadline = time.monotonic() + seconds
    while (code := child.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return code


@pytest.mark.parametrize("kind", [FreshChild, WarmChild])
def test_a_child_is_the_command(kind: type[FreshChild | WarmChild], tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert wait(kind(["--help"], SHARE, log)) == 0
    assert "Usage: awlab" in log.read_text()
    assert wait(kind(["no-such-verb"], SHARE, log)) == 2
    assert "no-such-verb" in log.read_text()


@pytest.mark.parametrize("kind", [FreshChild, WarmChild])
def test_a_child_is_alone_in_its_group(
    kind: type[FreshChild | WarmChild], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "experiment.yaml"
    os.mkfifo(fifo)  # Opening it blocks: the child is alive until it is killed.
    child = kind(["validate", str(fifo)], SHARE, tmp_path / "log.txt")
    while os.getpgid(child.pid) == os.getpgid(0):
        time.sleep(0.01)
    assert os.getpgid(child.pid) == child.pid
    assert child.poll() is None
    child.send(signal.SIGKILL)
    assert wait(child) == -signal.SIGKILL
    child.send(signal.SIGKILL)  # Of a dead child: nothing happens.


@pytest.mark.fault
@pytest.mark.parametrize("kind", [FreshChild, WarmChild])
def test_a_log_on_a_full_disk_does_not_hide_the_exit_code(
    kind: type[FreshChild | WarmChild],
) -> None:
    child = kind(["run", "missing.yaml"], SHARE, Path("/dev/full"))
    assert wait(child) == 2


def test_a_child_that_does_not_lead_its_group_yet_hears_a_signal(tmp_path: Path) -> None:
    for _ in range(5):
        child = WarmChild(["list", "--root", str(tmp_path)], SHARE, tmp_path / "log.txt")
        child.send(signal.SIGTERM)
        assert wait(child) == -signal.SIGTERM


def test_a_warm_child_whose_server_died_was_killed(tmp_path: Path) -> None:
    fifo = tmp_path / "experiment.yaml"
    os.mkfifo(fifo)
    child = WarmChild(["validate", str(fifo)], SHARE, tmp_path / "log.txt")
    server = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGKILL)
    assert wait(child) == -signal.SIGKILL
    another = WarmChild(["--help"], SHARE, tmp_path / "log.txt")  # The server starts again.
    assert wait(another) == 0


def test_a_child_is_no_rank_of_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {"RANK", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "SLURM_PROCID", "WANDB_RUN_ID"}
    for name in (*hidden, "CUSTOM"):
        monkeypatch.setenv(name, "1")
    variables = environment(Share(("2", "3"), 4))
    assert hidden.isdisjoint(variables)
    assert variables["CUSTOM"] == "1"
    assert variables["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert variables["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize("kind", ["FreshChild", "WarmChild"])
def test_no_child_outlives_a_killed_parent(kind: str, tmp_path: Path) -> None:
    fifo = tmp_path / "experiment.yaml"
    os.mkfifo(fifo)
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\nfrom pathlib import Path\n"
        "from awlab.execute import child\nfrom awlab.execute.devices import Share\n"
        "child.PRELOAD = ('awlab.execute.server',)\n"
        "if __name__ == '__main__':\n"
        f"    log = Path({str(tmp_path / 'log')!r})\n"
        f"    made = child.{kind}(['validate', {str(fifo)!r}], Share((), 1), log)\n"
        "    print(made.pid, flush=True)\n    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    while not (tmp_path / "log").exists():  # By then it has asked to die with its parent.
        time.sleep(0.01)
    time.sleep(0.2)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
