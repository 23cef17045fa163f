"""A study on a real Slurm, whose tasks run out of time and are cancelled."""

import subprocess
import sys

import pytest

from tests.faults.slurm_cluster import SlurmCluster, missing

pytestmark = [
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]


@pytest.fixture(scope="module")
def slurm():
    with SlurmCluster() as made:
        yield made


@pytest.fixture
def cluster(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(slurm.configuration))
    return slurm


def awlab(lab, *arguments):
    command = [sys.executable, "-m", "awlab", *arguments]
    done = subprocess.run(command, cwd=lab.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def submit(lab):
    options = ["--devices", "cpu", "--time", "30", "--array-limit", "2"]
    told = awlab(lab, "ablate", "study.yaml", "--backend", "slurm", *options)
    assert told.startswith("Slurm job ")
    return told.split()[2]


def logs(lab, job):
    return {log.name: log.read_text() for log in lab.folder.glob(f"studies/tiny/slurm/{job}_*.txt")}


def test_tasks_run_out_of_time_and_others_are_cancelled(lab, cluster, undisturbed, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lab.ledger.injected += 2
    job = submit(lab)
    lab.trained()
    cluster.signal(job)
    cluster.wait_until_empty(240)
    found = logs(lab, job)
    requeued = [text for text in found.values() if "DUE TO JOB REQUEUE" in text]
    assert any("the same command goes on from here" in text for text in requeued), found
    assert lab.results() == undisturbed
    assert awlab(lab, "status", "study.yaml").endswith("4 of 4 runs finished\n")

    lab.study["seeds"] = [7]
    lab.write()
    cancelled = submit(lab)
    run = lab.trained()
    told = awlab(lab, "cancel", "study.yaml")
    assert f"Slurm job {cancelled} ends when its runs have written checkpoints" in told
    cluster.wait_until_empty(60)
    assert run.directory.last_checkpoint.exists()
    assert not any("QUEUE" in log for log in logs(lab, cancelled).values())


def test_each_task_has_its_own_gpus(lab, cluster):
    """As far as can be told where they are pretended; the script is one of our own."""
    template = lab.folder / "mine.sh"
    template.write_text(
        "#!/bin/bash\n{% for option in options %}\n#SBATCH {{ option }}\n{% endfor %}\n"
        "echo gpus $CUDA_VISIBLE_DEVICES; sleep 2\n"
    )
    lab.write()
    options = ["--gpus", "1", "--template", "mine.sh", "--cell", "plain"]
    told = awlab(lab, "ablate", "study.yaml", "--backend", "slurm", *options)
    job = told.split()[2]
    cluster.wait_until_empty(60)
    assert sorted(logs(lab, job).values()) == ["gpus 0\n", "gpus 1\n"]
