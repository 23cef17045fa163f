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


def begin(lab, *arguments):
    command = [sys.executable, "-m", "awlab", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=lab.folder, stdout=pipe, stderr=pipe, text=True)


def end(process):
    told, errors = process.communicate()
    assert process.returncode == 0, errors
    return told


def awlab(lab, *arguments):
    return end(begin(lab, *arguments))


def submit(lab):
    options = ["--devices", "cpu", "--time", "30", "--array-limit", "2"]
    told = awlab(lab, "ablate", "study.yaml", "--backend", "slurm", *options)
    assert told.startswith("Slurm job ")
    return told.split()[2]


def logs(lab, job):
    return {log.name: log.read_text() for log in lab.folder.glob(f"studies/tiny/slurm/{job}_*.txt")}


def test_tasks_run_out_of_time_and_are_requeued(lab, cluster, undisturbed, monkeypatch):
    """Both runs that train when the time is up write checkpoints, and go on from them."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lab.ledger.injected += 2
    job = submit(lab)
    held = lab.hold(2)
    cluster.signal(job)
    lab.let_go(held)
    cluster.wait_until_empty(240)
    # Not what Slurm writes into their logs: a script may end before it is told why it has to.
    assert cluster.requeued(job) == [0, 0, 1, 1]
    told = [text.count("the same command goes on from here") for text in logs(lab, job).values()]
    assert sorted(told) == [0, 0, 1, 1]
    for one in held:
        assert "resuming from" in one.run.directory.log.read_text()
        assert lab.attempts()[one.run.path.name] == 2
    assert lab.results() == undisturbed
    assert awlab(lab, "status", "study.yaml").endswith("4 of 4 runs finished\n")


def test_tasks_are_cancelled(lab, cluster, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lab.ledger.injected += 1
    job = submit(lab)
    held = lab.hold(2)
    cancelling = begin(lab, "cancel", "study.yaml")
    lab.let_go(held)
    assert f"Slurm job {job} ends when its runs have written checkpoints" in end(cancelling)
    cluster.wait_until_empty(60)
    assert all(one.run.directory.last_checkpoint.exists() for one in held)
    assert [run.state for run in lab.plan().runs].count("interrupted") == 2
    assert not any(cluster.requeued(job))


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
