import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from awlab.execute.presence import ask_to_end, at_work, workers
from awlab.record.claim import Holder
from awlab.record.study_directory import StudyDirectory
from awlab.spec.errors import InputError


@pytest.fixture
def study(tmp_path: Path) -> StudyDirectory:
    return StudyDirectory(tmp_path / "studies" / "tiny")


def other_process(study: StudyDirectory, then: str) -> "subprocess.Popen[str]":
    code = (
        "import os, sys, time\n"
        "from awlab.execute.presence import at_work\n"
        "from awlab.record.study_directory import StudyDirectory\n"
        f"with at_work(StudyDirectory({str(study.path)!r})):\n"
        "    print('ready', flush=True)\n"
        f"    {then}\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_nobody_works_on_a_study_without_a_folder(study: StudyDirectory) -> None:
    assert workers(study) == []


def test_who_works_is_known_and_forgotten(study: StudyDirectory) -> None:
    with at_work(study):
        assert workers(study) == [Holder.here()]
    assert workers(study) == []
    assert list(study.managers.iterdir()) == []


def test_a_worker_is_asked_as_ctrl_c_asks(study: StudyDirectory) -> None:
    with other_process(study, "time.sleep(60)") as process:
        (worker,) = workers(study)
        assert worker.pid == process.pid
        assert ask_to_end(worker)
        assert process.wait(timeout=30) == -signal.SIGINT
    assert not workers(study)


def test_what_a_killed_worker_leaves_behind_is_swept_away(study: StudyDirectory) -> None:
    with other_process(study, "os.kill(os.getpid(), 9)") as process:
        assert process.wait(timeout=30) == -signal.SIGKILL
    assert len(list(study.managers.iterdir())) == 1
    assert workers(study) == []
    (study.managers / "just-begun").mkdir()  # Not claimed yet: its process is not dead.
    with at_work(study):
        assert {path.name for path in study.managers.iterdir()} == {
            "just-begun",
            f"{socket.gethostname()}-{os.getpid()}",
        }


def test_a_worker_on_another_machine_cannot_be_asked_from_here() -> None:
    assert not ask_to_end(Holder("elsewhere", 1, 0))


def test_a_worker_that_is_gone_is_no_trouble() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert ask_to_end(Holder(socket.gethostname(), process.pid, 0))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "studies").write_text("in the way")
    study = StudyDirectory(tmp_path / "studies" / "tiny")
    with (
        pytest.raises(InputError, match=r"cannot write the folder of the study .*tiny: Not a dir"),
        at_work(study),
    ):
        raise AssertionError
