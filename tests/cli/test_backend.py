from pathlib import Path

import pytest
import typer

from awlab.cli.backend import Sharing, SlurmOptions, read_part, slurm_array
from awlab.plan import Plan, load_ablation, plan


@pytest.fixture
def study(study_file: Path) -> Plan:
    return plan(load_ablation(study_file))


def test_part() -> None:
    assert read_part(None) is None
    assert read_part("3/8") == (3, 8)
    for text in ("3", "0/8", "9/8", "a/b", "-1/2", "1/"):
        with pytest.raises(typer.Exit):
            read_part(text)


def test_options_that_were_given_are_named() -> None:
    assert SlurmOptions().given == ""
    assert SlurmOptions(gpus=0, array_limit=2, sbatch=("--mem=1G",)).given == (
        "--array-limit, --gpus, --sbatch"
    )


@pytest.mark.parametrize(
    ("sharing", "gpus", "tasks", "share"),
    [
        (Sharing(), None, 10, "--devices all --devices-per-run 1 --runs-per-device 1"),
        (Sharing(), 4, 3, "--devices all --devices-per-run 1 --runs-per-device 1"),
        (Sharing(None, 2), 4, 5, "--devices all --devices-per-run 2 --runs-per-device 1"),
        (Sharing(None, None, 5), 1, 2, "--devices all --devices-per-run 1 --runs-per-device 5"),
        (Sharing("cpu"), None, 10, "--devices cpu --devices-per-run 1 --jobs 1"),
        (Sharing(None, 2, None, 4), 0, 3, "--devices cpu --devices-per-run 2 --jobs 4"),
    ],
)
def test_a_task_executes_as_many_runs_at_once_as_its_devices_allow(
    study: Plan, sharing: Sharing, gpus: int | None, tasks: int, share: str
) -> None:
    array = slurm_array(study, 10, ["ablate", "tiny.yaml"], sharing, SlurmOptions(gpus=gpus))
    assert array.tasks == tasks
    assert " ".join(array.command).endswith(f"-m awlab ablate tiny.yaml {share}")
    wanted = 0 if "cpu" in share else gpus or 1
    assert (f"--gres=gpu:{wanted}" in array.options) == bool(wanted)
    cores = [option for option in array.options if option.startswith("--cpus-per-task")]
    assert cores == ([] if wanted else [f"--cpus-per-task={8 if sharing.jobs else 1}"])


def test_what_is_asked_of_slurm(study: Plan, study_file: Path) -> None:
    slurm = SlurmOptions("big", "1:00:00", "high", "lab", 4, 1, ("--mem=40G", "--nice"))
    options = slurm_array(study, 9999, [], Sharing(), slurm).options
    here = study_file.absolute().parent
    assert options == [
        "--job-name=awlab-tiny",
        "--array=0-999%4",
        f"--chdir={here}",
        f"--output={here}/studies/tiny/slurm/%A_%a.txt",
        "--gres=gpu:1",
        "--partition=big",
        "--time=1:00:00",
        "--qos=high",
        "--account=lab",
        "--mem=40G",
        "--nice",
    ]


def test_fewer_gpus_than_a_run_takes(study: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        slurm_array(study, 1, [], Sharing(None, 4), SlurmOptions(gpus=2))
    assert "--gpus 2: a run of this study takes 4" in capsys.readouterr().err
