"""The verbs that watch and end ablations."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from awlab.cli import watch
from awlab.plan import Run, load_ablation, plan
from awlab.record.claim import claim

Invoke = Callable[..., tuple[int, str, str]]
AT_WORK = """
import os, sys, time
from pathlib import Path
from awlab.execute.presence import at_work
from awlab.record.study_directory import StudyDirectory
with at_work(StudyDirectory(Path("studies/tiny"))):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(study_file: Path) -> Run:
    run = plan(load_ablation(study_file)).runs[0]
    run.directory.create(run.experiment)
    run.directory.log.write_text("epoch 1/1\n")
    return run


def test_status(study_file: Path, invoke: Invoke, run: Run) -> None:
    code, out, _ = invoke("status", str(study_file))
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["conv", "seed", "0", "seed", "1"],
        ["plain", "\u23f8", "0%", "\N{MIDDLE DOT}"],
        ["aw", "\N{MIDDLE DOT}", "\N{MIDDLE DOT}"],
        ["0", "of", "4", "runs", "finished"],
    ]
    with claim(run.path):
        assert "\u25b6 0%" in invoke("status", str(study_file))[1]
    document = json.loads(invoke("status", str(study_file), "--json")[1])
    assert document["cells"][0]["runs"][0]["state"] == "interrupted"


def test_status_is_watched_on_terminals_only(study_file: Path, invoke: Invoke) -> None:
    assert "0 of 4 runs finished" in invoke("status", str(study_file), "--watch")[1]
    code, _, error = invoke("status", str(study_file), "--watch", "--json")
    assert (code, error) == (2, "error: --watch is for people; leave out --json\n")


def test_status_is_watched_until_all_is_over(
    study_file: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    runs = list(plan(load_ablation(study_file)).runs)

    def fail_one(seconds: float) -> None:
        if runs:
            directory = runs.pop().directory
            directory.path.mkdir(parents=True)
            directory.fail("error", "a story")

    monkeypatch.setattr(watch.time, "sleep", fail_one)
    code, out, _ = invoke("status", str(study_file), "--watch")
    assert (code, runs) == (0, [])
    assert "4 failed" in out


def test_the_log_of_a_run_by_its_folder_name_or_id(
    study_file: Path, invoke: Invoke, run: Run
) -> None:
    for what in (str(run.path), run.path.name, run.id):
        assert invoke("logs", what) == (0, "epoch 1/1\n", "")
    code, _, error = invoke("logs", "nothing")
    assert code == 2
    assert "nothing: expected a run directory, the name or id of one in runs" in error


def test_a_log_is_followed_while_its_run_is_executed(run: Run) -> None:
    command = [sys.executable, "-m", "awlab", "logs", run.id, "-f"]
    with claim(run.path):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "epoch 1/1\n"
        with run.directory.log.open("a") as log:
            log.write("epoch 2/2\n")
        assert process.stdout.readline() == "epoch 2/2\n"
        assert process.poll() is None
    assert process.wait(timeout=60) == 0
    process.stdout.close()


def test_the_log_of_a_study(study_file: Path, invoke: Invoke) -> None:
    code, _, error = invoke("logs", str(study_file))
    assert code == 2
    assert "cannot read studies/tiny/log.txt" in error
    Path("studies/tiny").mkdir(parents=True)
    Path("studies/tiny/log.txt").write_text("nothing to do\n")
    assert invoke("logs", str(study_file), "--follow") == (0, "nothing to do\n", "")


def test_cancel(study_file: Path, invoke: Invoke) -> None:
    assert invoke("cancel", str(study_file)) == (0, "nobody is executing tiny.yaml\n", "")
    with subprocess.Popen(
        [sys.executable, "-c", AT_WORK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        process.stdout.readline()
        code, out, _ = invoke("cancel", str(study_file))
        assert code == 0
        assert out.startswith(f"process {process.pid} on ")
        assert out.endswith(" ends when its runs have written checkpoints\n")
        assert process.wait(timeout=60) == -signal.SIGINT


def test_a_study_that_is_executed_elsewhere_is_canceled_there(
    study_file: Path, invoke: Invoke
) -> None:
    claims = Path("studies/tiny/managers/gpu7-1/claims")
    claims.mkdir(parents=True)
    (claims / "000001.json").write_text(json.dumps({"host": "gpu7", "pid": 1, "started": 0}))
    assert invoke("cancel", str(study_file)) == (
        0,
        "process 1 on gpu7: cancel it there\n",
        "",
    )
    old = time.time() - 1000
    os.utime(claims / "000001.json", (old, old))
    assert invoke("cancel", str(study_file))[1] == "nobody is executing tiny.yaml\n"
