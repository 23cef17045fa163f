"""The verb that executes an ablation; what it calls is tested where it lives."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from awlab.plan import load_ablation, plan
from awlab.record.claim import claim
from awlab.record.run_directory import find_runs

Invoke = Callable[..., tuple[int, str, str]]
Use = Callable[[str], None]


def started() -> list[str]:
    """Names of the runs that were started, without their ids."""
    return [name[:-11] for name in Path("started.txt").read_text().splitlines()]


def test_a_study_runs_once(study_file: Path, invoke: Invoke, script: Use) -> None:
    script("finish()")
    code, out, _ = invoke("ablate", str(study_file), "--jobs", "1")
    assert code == 0
    assert started() == ["tiny-plain-s0", "tiny-aw-s0", "tiny-plain-s1", "tiny-aw-s1"]
    assert "tiny: test/top1_error in %" in out
    code, out, _ = invoke("ablate", str(study_file))
    assert code == 0
    assert out.startswith("nothing to do: all 4 runs are finished\n")
    assert "tiny: test/top1_error in %" in out
    assert len(started()) == 4


def test_a_study_grows(study_file: Path, invoke: Invoke, script: Use) -> None:
    script("finish()")
    assert invoke("ablate", str(study_file), "seeds=1", "--jobs", "1")[0] == 0
    study_file.write_text(
        study_file.read_text().replace("aw:", "half: {kind: aw, f2: product}, aw:")
    )
    assert invoke("ablate", str(study_file), "--jobs", "1")[0] == 0
    assert started() == [
        "tiny-plain-s0", "tiny-aw-s0",
        "tiny-half-s0", "tiny-plain-s1", "tiny-half-s1", "tiny-aw-s1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--cell", "aw"], ["tiny-aw-s0", "tiny-aw-s1"]),
        (["--only", "conv=plain", "--limit", "1"], ["tiny-plain-s0"]),
        (["--order", "seeds-first", "--limit", "2"], ["tiny-plain-s0", "tiny-plain-s1"]),
    ],
)
def test_a_part_of_a_study(
    study_file: Path, invoke: Invoke, script: Use, arguments: list[str], expected: list[str]
) -> None:
    script("finish()")
    assert invoke("ablate", str(study_file), "--jobs", "1", *arguments)[0] == 0
    assert started() == expected


def test_failed_runs_wait_until_they_are_asked_for(
    study_file: Path, invoke: Invoke, script: Use
) -> None:
    script("fail('diverged') if 'aw' in run.name else finish()")
    code, out, _ = invoke("ablate", str(study_file))
    assert code == 1
    assert f"failed: 2 diverged; awlab ablate {study_file} --retry-failed" in out
    code, out, _ = invoke("ablate", str(study_file))
    assert (code, out.splitlines()[0]) == (
        1,
        "nothing to do: 2 of 4 runs are finished, and no other was asked for",
    )
    script("finish()")
    assert invoke("ablate", str(study_file), "--retry-failed")[0] == 0
    assert len(started()) == 6


def test_fail_fast(study_file: Path, invoke: Invoke, script: Use) -> None:
    script("fail('error')")
    assert invoke("ablate", str(study_file), "--fail-fast", "--jobs", "1")[0] == 1
    assert len(started()) == 1


def test_runs_begin_anew_beside_the_old_ones(study_file: Path, invoke: Invoke, script: Use) -> None:
    script("finish()")
    assert invoke("ablate", str(study_file))[0] == 0
    assert invoke("ablate", str(study_file), "--rerun", "--cell", "aw")[0] == 0
    assert len(started()) == 6
    aside = sorted(path.name[:-13] for path in Path("runs/.replaced").iterdir())
    assert aside == ["tiny-aw-s0", "tiny-aw-s1"]
    assert len(find_runs("runs")) == 4


def test_a_damaged_result_is_no_success(study_file: Path, invoke: Invoke, script: Use) -> None:
    script("finish()")
    assert invoke("ablate", str(study_file))[0] == 0
    damaged = next(Path("runs").glob("tiny-aw-s1-*")) / "result.json"
    damaged.write_text("{")
    code, out, _ = invoke("ablate", str(study_file))
    assert code == 1
    assert f"damaged: {damaged}; remove it" in out
    damaged.unlink()
    assert invoke("ablate", str(study_file))[0] == 0
    assert len(started()) == 5


@pytest.mark.parametrize(
    ("arguments", "gpus", "message"),
    [
        (["--rerun", "--retry-failed"], "", "leave out --retry-failed"),
        (["--runs-per-device", "2"], "", "--runs-per-device is for GPUs, and there is none"),
        (["--jobs", "2"], "0", "--jobs is for runs on a CPU"),
        (["--devices-per-run", "3"], "0,1", "devices per run (=3) must not exceed"),
        (["--devices", "7"], "0", "--devices 7: no GPU 7"),
        (["--cell", "plan"], "", "no cell 'plan'; expected one of plain, aw. Did you mean"),
        (["seeds=0"], "", "a study needs 1 to 1000 seeds, not 0"),
    ],
)
def test_what_does_not_fit_together(
    study_file: Path,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    gpus: str,
    message: str,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    code, _, error = invoke("ablate", str(study_file), *arguments)
    assert (code, Path("runs").exists()) == (2, False)
    assert message in error


def test_a_folder_that_cannot_be_written_is_found_before_any_work(
    study_file: Path, invoke: Invoke, script: Use
) -> None:
    script("finish()")
    Path("studies").write_text("in the way")
    code, _, error = invoke("ablate", str(study_file))
    assert code == 2
    assert "cannot write the folder of the study studies/tiny" in error
    assert not Path("started.txt").exists()


def test_cells_that_are_the_same_network_are_merged_and_stay_so(
    study_file: Path, invoke: Invoke
) -> None:
    study_file.write_text(
        study_file.read_text().replace("{kind: aw}", "{kind: aw, reduction: 16}, aw2: {kind: aw}")
    )
    planned = plan(load_ablation(study_file))
    assert planned["aw2"].same_as == "aw"  # By their ids alone.
    code, out, _ = invoke("ablate", str(study_file), "--dry-run")
    assert code == 0
    assert "aw2" in out
    assert "same runs as aw" in " ".join(out.split())
    assert not Path("studies").exists()


def test_a_study_in_the_background(study_file: Path, invoke: Invoke, script: Use) -> None:
    command = [sys.executable, "-m", "awlab", "ablate", str(study_file), "--detach"]
    mistaken = [*command, "--cell", "awful"]
    done = subprocess.run(mistaken, capture_output=True, text=True, check=False)
    assert (done.returncode, Path("studies").exists()) == (2, False)
    script("finish()")
    invoke("ablate", str(study_file))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == (
        "look: awlab status tiny.yaml --watch    end: awlab cancel tiny.yaml"
    )
    log, deadline = Path("studies/tiny/log.txt"), time.monotonic() + 60
    while "awlab report" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.read_text().startswith("nothing to do: all 4 runs are finished\n")


@pytest.mark.timeout(300)
def test_a_study_is_really_trained(study_file: Path, invoke: Invoke) -> None:
    """From a file to a table: networks built, tried and trained in warm children, and compared."""
    code, out, error = invoke("ablate", str(study_file), "seeds=1")
    assert code == 0, error
    assert "smoke test: 2 of 2 architectures" in out
    assert "tiny: test/top1_error in %" in out
    assert {directory.state for directory in find_runs("runs").values()} == {"finished"}
    networks = json.loads(Path("studies/tiny/networks.json").read_text())["networks"]
    assert len(networks) == 2
    assert list(Path("studies/tiny/managers").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time", "3"], "--time: only with --backend slurm"),
        (["--gpus", "0", "--sbatch=--mem=1G"], "--gpus, --sbatch: only with --backend slurm"),
        (["--address", "auto"], "--address: only with --backend ray"),
        (["--backend", "slurm", "--detach"], "--detach, --limit and --task are for one process"),
        (["--backend", "slurm", "--jobs", "2"], "--jobs is for runs on a CPU"),
        (["--backend", "slurm", "--gpus", "0", "--runs-per-device", "2"], "a task has none"),
        (["--backend", "slurm", "--template", "no.sh"], "--template no.sh: "),
        (["--backend", "slurm", "--devices", "0"], "--devices 0: Slurm chooses"),
        (
            ["--backend", "slurm", "--devices", "cpu", "--gpus", "2"],
            "--gpus 2: --devices",
        ),
        (
            ["--backend", "slurm", "--devices-per-run", "2", "--runs-per-device", "2"],
            "both",
        ),
        (["--backend", "ray", "--devices", "0"], "--devices 0: Ray chooses"),
        (["--task", "4/3"], "--task 4/3: expected I/N with I from 1 to N"),
    ],
)
def test_what_does_not_fit_a_backend(
    study_file: Path, invoke: Invoke, arguments: list[str], message: str
) -> None:
    code, _, error = invoke("ablate", str(study_file), "--dry-run", *arguments)
    if "ray" in arguments:
        code, _, error = invoke("ablate", str(study_file), *arguments)
    assert (code, Path("runs").exists()) == (2, False)
    assert message in error


def test_the_script_for_slurm_is_shown(study_file: Path, invoke: Invoke) -> None:
    asked = ["--devices", "cpu", "--jobs", "2", "--only", "conv=aw", "--retry-failed"]
    code, out, error = invoke(
        "ablate", str(study_file), "seeds=3", "--backend", "slurm", "--dry-run", *asked
    )
    assert code == 0, error
    assert "#SBATCH --array=0-1\n" in out  # Three runs, two at once.
    assert "#SBATCH --cpus-per-task=2\n" in out
    assert "ablate tiny.yaml seeds=3 --only=conv=aw --order=cells-first --devices cpu" in out
    assert "retry" not in out  # What is tried again is decided once, when it is submitted.
    assert sorted(path.name for path in Path().iterdir()) == ["tiny.yaml"]


def test_slurm_that_is_not_there(
    study_file: Path, invoke: Invoke, script: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("finish()")
    monkeypatch.setenv("PATH", "")
    code, _, error = invoke("ablate", str(study_file), "--backend", "slurm")
    assert code == 2
    assert "there is no sbatch here" in error


def test_nothing_is_put_aside_for_an_array_that_slurm_refuses(
    study_file: Path,
    invoke: Invoke,
    script: Use,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    script("finish()")
    assert invoke("ablate", str(study_file), "--jobs", "1")[0] == 0
    results = sorted(Path("runs").glob("*/result.json"))
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/sh\necho invalid partition >&2\nexit 1\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", str(sbatch.parent), prepend=os.pathsep)
    code, _, error = invoke("ablate", str(study_file), "--backend", "slurm", "--rerun")
    assert code == 2
    assert "invalid partition" in error
    assert sorted(Path("runs").glob("*/result.json")) == results


def test_a_study_that_failed_is_not_well_because_slurm_has_nothing_to_do(
    study_file: Path, invoke: Invoke, script: Use
) -> None:
    script("fail('error')")
    assert invoke("ablate", str(study_file), "--jobs", "1")[0] == 1
    assert invoke("ablate", str(study_file), "--backend", "slurm")[0] == 1


def test_tasks_of_an_array_begin_with_their_part_and_wait_for_nobody(
    study_file: Path, invoke: Invoke, script: Use
) -> None:
    script("finish()")
    elsewhere = plan(load_ablation(study_file)).runs[0]
    elsewhere.directory.create(elsewhere.experiment)
    with claim(elsewhere.path):
        code, out, error = invoke("ablate", str(study_file), "--jobs", "1", "--task", "2/2")
    assert code == 0, error
    assert started() == ["tiny-aw-s0", "tiny-aw-s1", "tiny-plain-s1"]
    assert "is being executed elsewhere" in out
