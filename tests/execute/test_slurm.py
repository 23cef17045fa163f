"""What is asked of Slurm, and what the script does; a real Slurm is among the faults."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from awlab.execute import slurm
from awlab.execute.slurm import Array
from awlab.record.study_directory import StudyDirectory
from awlab.spec.errors import InputError

Programs = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path) -> StudyDirectory:
    return StudyDirectory(tmp_path / "studies" / "tiny")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Put shell scripts in the place of programs; each call is noted in the file returned."""
    noted = tmp_path / "called.txt"
    noted.touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()

    def make(**scripts: str) -> Path:
        for name, script in scripts.items():
            file = tmp_path / "bin" / name
            file.write_text(f'#!/bin/sh\necho {name} "$@" >> {noted}\n{script}\n')
            file.chmod(0o755)
        return noted

    return make


def test_the_script() -> None:
    array = Array("tiny", ["awlab", "ablate", "my study.yaml"], 3, ["--time=3", "--array=0-2"])
    script = array.script()
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    assert [line for line in lines if line.startswith("#SBATCH")] == [
        "#SBATCH --time=3",
        "#SBATCH --array=0-2",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        "#SBATCH --signal=B:USR1@120",
    ]
    command = "awlab ablate 'my study.yaml' --task \"$((SLURM_ARRAY_TASK_ID + 1))/3\" &"
    assert command in lines
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.sh"
    mine.write_text("#!/bin/bash\nmodule load cuda\n{{ command }} # {{ study }} {{ tasks }}\n")
    script = Array("tiny", ["awlab"], 2).script(mine)
    assert script == "#!/bin/bash\nmodule load cuda\nawlab # tiny 2\n"
    mine.write_text("{{ comand }}")
    with pytest.raises(InputError, match=r"mine.sh: 'comand' is undefined; it may name study, "):
        Array("tiny", ["awlab"], 2).script(mine)
    with pytest.raises(InputError, match=r"--template .*none.sh: .*No such file"):
        Array("tiny", ["awlab"], 2).script(tmp_path / "none.sh")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("does", "asked", "code", "requeued"),
    [
        ("exit 0", None, 0, False),
        ("exit 1", None, 1, False),
        ("exit 75", None, 75, True),
        ("trap 'exit 75' TERM; ready; wait_", signal.SIGUSR1, 75, True),
        ("trap 'sleep 0.3; exit 75' TERM; ready; wait_", signal.SIGUSR1, 75, True),
        ("ready; wait_", signal.SIGUSR1, 143, True),  # Before Python could listen.
        ("trap 'exit 75' TERM; ready; wait_", signal.SIGTERM, 75, False),
        ("ready; kill -9 $$", None, 137, False),
    ],
)
def test_a_task_goes_back_into_the_queue_when_it_ran_out_of_time(
    tmp_path: Path,
    programs: Programs,
    does: str,
    asked: signal.Signals | None,
    code: int,
    requeued: bool,
) -> None:
    ready = f"ready() {{ touch {tmp_path}/ready; }}; wait_() {{ while :; do sleep 0.02; done; }}\n"
    noted = programs(scontrol="", awlab=ready + does)
    script = Array("tiny", ["awlab", "ablate"], 4).script()
    variables = {"SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "2"}
    task = subprocess.Popen(["bash", "-c", script], env=os.environ | variables)
    while asked and not (tmp_path / "ready").exists():
        time.sleep(0.01)
    if asked:
        task.send_signal(asked)
    assert task.wait(timeout=30) == code
    expected = ["awlab ablate --task 3/4", *["scontrol requeue 17_2"] * requeued]
    assert noted.read_text().splitlines() == expected


def test_what_was_submitted_is_remembered(study: StudyDirectory, programs: Programs) -> None:
    noted = programs(sbatch='cat > "$0.given"; echo "17;cluster"')
    assert slurm.submit("a script", study) == "17"
    assert (noted.parent / "bin" / "sbatch.given").read_text() == "a script"
    assert slurm.jobs(study) == ["17"]
    assert (study.slurm / "17.sh").read_text() == "a script"


def test_a_refusal_is_told(
    study: StudyDirectory, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(sbatch="echo 'invalid partition' >&2; exit 1")
    with pytest.raises(InputError, match=r"sbatch: invalid partition$"):
        slurm.submit("a script", study)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="there is no sbatch here: --backend slurm works where"):
        slurm.submit("a script", study)
    assert slurm.jobs(study) == []


def test_cancel_takes_what_waits_out_of_the_queue_and_asks_the_rest(
    study: StudyDirectory, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert slurm.cancel(study) == []
    study.slurm.mkdir(parents=True)
    for job in ("16", "17"):
        (study.slurm / f"{job}.sh").touch()
    noted = programs(scancel="", squeue='[ "$2" = --jobs=17 ] && echo "17_0 RUNNING"')
    assert slurm.cancel(study) == ["17"]
    assert noted.read_text().splitlines() == [
        "squeue --noheader --jobs=16",
        "squeue --noheader --jobs=17",
        "scancel --state=PENDING 17",
        "scancel --batch --signal=TERM 17",
    ]
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert slurm.cancel(study) == []


@pytest.mark.parametrize("left", [False, True])
def test_cancel_of_an_array_that_only_waits(
    study: StudyDirectory, programs: Programs, tmp_path: Path, *, left: bool
) -> None:
    """Slurm knows nobody to send a signal to when no task of it runs; any other refusal is told."""
    study.slurm.mkdir(parents=True)
    (study.slurm / "17.sh").touch()
    gone = tmp_path / "gone"
    programs(
        scancel=f'[ "$1" != --batch ] || {{ echo "Invalid job id specified" >&2; exit 1; }}\n'
        f"{'' if left else f'touch {gone}'}",
        squeue=f'[ -e {gone} ] || echo "17_0 PENDING"',
    )
    if left:
        with pytest.raises(InputError, match="scancel: Invalid job id specified"):
            slurm.cancel(study)
    else:
        assert slurm.cancel(study) == ["17"]


def test_what_slurm_would_not_take(programs: Programs) -> None:
    noted = programs(sbatch="echo 'invalid partition' >&2; exit 1")
    with pytest.raises(InputError, match=r"sbatch: invalid partition$"):
        slurm.check("a script")
    assert noted.read_text() == "sbatch --test-only\n"
