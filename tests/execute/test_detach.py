import os
import signal
from pathlib import Path

import pytest

from awlab.execute.detach import detach
from awlab.spec.errors import InputError


def test_the_command_has_a_session_of_its_own(tmp_path: Path) -> None:
    fifo = tmp_path / "experiment.yaml"
    os.mkfifo(fifo)  # Opening it blocks: the command lives until it is killed.
    pid = detach(["validate", str(fifo)], tmp_path / "log.txt")
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_it_prints_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "studies" / "log.txt"
    os.waitpid(detach(["list", "--root", str(tmp_path / "runs")], log), 0)
    assert log.read_text() == f"no runs in {tmp_path / 'runs'}\n"


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "studies").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot write .*log.txt: (Not a dir|File exists)"):
        detach(["list"], tmp_path / "studies" / "tiny" / "log.txt")
