import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from awlab.execute.exit_codes import INTERRUPTED, PREEMPTED
from awlab.record.record import read_epochs
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.load import dump, load_experiment
from awlab.train import fit, launch
from awlab.train.launch import RankError, run_ranks
from awlab.train.signals import StopError


@pytest.fixture
def pretend(tiny, tmp_path, monkeypatch):
    """Start a shell script as each rank; its arguments are -m awlab.train.launch FILE FAILURE."""

    def run(script, count=2, *, quiet=True):
        interpreter = tmp_path / "python"
        interpreter.write_text("#!/bin/sh\n" + script)
        interpreter.chmod(0o755)
        monkeypatch.setattr(launch.sys, "executable", str(interpreter))
        experiment = tiny()
        directory = RunDirectory.of(experiment)
        run_ranks(experiment, directory, count=count, quiet=quiet)
        return directory

    return run


def test_each_rank_is_told_its_place(pretend, tmp_path):
    pretend(
        f'echo "$RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $MASTER_ADDR" > {tmp_path}/$RANK\n'
        f'echo "$MASTER_PORT $AWLAB_PARENT $OMP_NUM_THREADS" > {tmp_path}/port$RANK',
        count=3,
    )
    told = [(tmp_path / str(rank)).read_text() for rank in range(3)]
    assert told == [f"{rank} {rank} 3 3 127.0.0.1\n" for rank in range(3)]
    first, *others = [(tmp_path / f"port{rank}").read_text() for rank in range(3)]
    assert others == [first, first]
    port, parent, threads = map(int, first.split())
    assert 1024 < port < 65536
    assert parent == os.getpid()
    assert threads >= 1


def test_each_rank_is_given_the_whole_experiment(pretend, tiny, tmp_path):
    pretend(f'cp "$3" {tmp_path}/$RANK.yaml; echo "$@" > {tmp_path}/arguments', quiet=False)
    assert load_experiment(tmp_path / "1.yaml") == tiny()
    assert "--quiet" not in (tmp_path / "arguments").read_text()


@pytest.mark.parametrize("code", [PREEMPTED, INTERRUPTED])
def test_ranks_that_stopped_stop_the_run(pretend, code):
    with pytest.raises(StopError) as stopped:
        pretend(f"exit {code}")
    assert stopped.value.code == code


@pytest.mark.fault
def test_a_rank_that_fails_ends_the_others_and_is_quoted(pretend, tiny):
    start = time.monotonic()
    with pytest.raises(RankError, match=r"rank 1 failed, the others were ended: see .*error\.txt"):
        pretend(
            '[ "$RANK" = 0 ] && sleep 60\nprintf "diverged\nat step 3" > "$4/rank-1.txt"; exit 1'
        )
    assert time.monotonic() - start < 30
    directory = RunDirectory.of(tiny())
    assert directory.failure == "diverged"
    assert "at step 3" in directory.error.read_text()


@pytest.mark.fault
def test_a_rank_that_is_killed_is_named(pretend, tiny):
    with pytest.raises(RankError, match="rank 1 failed"):
        pretend('[ "$RANK" = 1 ] && kill -9 $$\nsleep 60')
    directory = RunDirectory.of(tiny())
    assert directory.error.read_text() == "killed\nrank 1 was killed by SIGKILL\n"


def test_a_refusal_of_a_rank_is_told_as_it_is(pretend):
    with pytest.raises(InputError, match=r"^no such folder$"):
        pretend('printf "no such folder" > "$4/rank-$RANK.txt"; exit 2')


def test_signals_are_passed_on(pretend, tmp_path):
    ready = tmp_path / "ready"

    def ask():
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StopError) as stopped:
        pretend(f"trap 'exit {PREEMPTED}' TERM\ntouch {ready}\nwhile :; do sleep 0.1; done")
    assert stopped.value.code == PREEMPTED
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.fault
def test_a_rank_that_was_asked_to_stop_before_it_could_listen(pretend, tiny):
    with pytest.raises(StopError) as stopped:
        pretend("kill -TERM $$")
    assert stopped.value.code == PREEMPTED
    assert not RunDirectory.of(tiny()).error.exists()


@pytest.mark.fault
def test_ranks_that_hang_after_another_stopped_are_killed(pretend, monkeypatch):
    monkeypatch.setattr(launch, "LEAVE_SECONDS", 0.2)
    with pytest.raises(StopError):
        pretend(f'[ "$RANK" = 0 ] && exit {PREEMPTED}\nsleep 60')


def test_two_ranks_mean_the_same_as_one(tiny, weights, tmp_path):
    model = {"kind": "wide_resnet", "depth": 10, "width": 1}
    training = {
        "epochs": 1,
        "optimizer": {"kind": "sgd", "lr": 0.01},
        "schedule": {"kind": "constant"},
    }
    one = tiny(model=model, training=training)
    two = tiny(
        model=model,
        training=training,
        runtime={"root": str(tmp_path / "two"), "devices": 2},
    )
    alone, together = fit.run(one), fit.run(two)
    assert alone is not None
    assert together is not None
    assert together.metrics == pytest.approx(alone.metrics, rel=1e-3)
    assert together.best.metrics == pytest.approx(alone.best.metrics, rel=1e-3)
    expected, found = weights(one), weights(two)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)


@pytest.fixture
def started(tiny, tmp_path):
    """Start the command line on an experiment whose steps take a while, and wait for the first."""
    processes = []

    def start(*, epochs=20, **runtime):
        model = {"kind": "wide_resnet", "depth": 16, "width": 2}
        place = {"root": str(tmp_path / "runs"), "checkpoint_every_steps": 1} | runtime
        experiment = tiny(model=model, training={"epochs": epochs, "batch_size": 50}, runtime=place)
        file = tmp_path / "experiment.yaml"
        file.write_text(dump(experiment))
        process = subprocess.Popen([sys.executable, "-m", "awlab", "run", str(file)])
        processes.append(process)
        directory = RunDirectory.of(experiment)
        deadline = time.monotonic() + 60
        while not directory.last_checkpoint.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process, directory

    yield start
    for process in processes:
        process.kill()
        process.wait()


def ranks_of(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("victims", [[0], [1], [0, 1], ["all"]])
def test_a_signal_to_any_rank_stops_all_with_their_state_saved(started, victims):
    process, directory = started(devices=2)
    ranks = ranks_of(process)
    for victim in victims:
        os.kill(process.pid if victim == "all" else ranks[victim], signal.SIGTERM)
    assert process.wait(timeout=30) == PREEMPTED
    assert directory.state == "interrupted"
    assert not any(is_alive(rank) for rank in ranks)


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_is_killed_ends_the_group(started, victim):
    process, directory = started(devices=2)
    ranks = ranks_of(process)
    os.kill(ranks[victim], signal.SIGKILL)
    assert process.wait(timeout=30) == 1
    assert directory.error.read_text() == f"killed\nrank {victim} was killed by SIGKILL\n"
    assert not any(is_alive(rank) for rank in ranks)


@pytest.mark.fault
@pytest.mark.slow
def test_ranks_do_not_outlive_who_started_them(started):
    process, _ = started(devices=2)
    ranks = ranks_of(process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while any(is_alive(rank) for rank in ranks):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_of_two_ranks_resumes_bit_equal_on_one_machine(tiny, weights, started, tmp_path):
    process, directory = started(epochs=2, devices=2)
    os.killpg(os.getpgid(ranks_of(process)[0]), signal.SIGKILL)
    assert process.wait(timeout=30) == 1
    interrupted = load_experiment(directory.experiment)
    runtime = interrupted.runtime.model_copy(update={"root": str(tmp_path / "undisturbed")})
    undisturbed = interrupted.model_copy(update={"runtime": runtime})
    fit.run(interrupted)
    fit.run(undisturbed)
    found, expected = weights(interrupted), weights(undisturbed)
    assert all(found[name].equal(expected[name]) for name in expected)


@pytest.mark.slow
def test_under_torchrun_a_run_is_the_same(tiny, weights, tmp_path, capfd):
    model = {"kind": "wide_resnet", "depth": 10, "width": 1}
    training = {"epochs": 1, "optimizer": {"kind": "sgd", "lr": 0.01}}
    experiment = tiny(model=model, training=training)
    file = tmp_path / "experiment.yaml"
    file.write_text(dump(experiment))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*torchrun, "-m", "awlab", "run", str(file), "--json"], check=False)
    assert done.returncode == 0
    result = json.loads(capfd.readouterr().out)
    alone = fit.run(tiny(model=model, training=training, runtime={"root": str(tmp_path / "alone")}))
    assert alone is not None
    assert result["metrics"] == pytest.approx(alone.metrics, rel=1e-3)


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def namespaces():
    """Two machines, as far as they can be told on one: network namespaces joined by a cable.

    Yields what to write before a command for it to be executed on each.
    """
    names = [f"awlab-{os.getpid()}-{side}" for side in "ab"]
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and ip: apt-get install iproute2")
    try:
        for name in names:
            ip("netns", "add", name)
        one, other = (["eth0", "netns", name] for name in names)
        ip("link", "add", *one, "type", "veth", "peer", "name", *other)
        for number, name in enumerate(names, start=1):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                ip("-n", name, "link", "set", link, "up")
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_four_ranks_on_two_machines_mean_the_same_as_one(tiny, tmp_path, namespaces):
    training = {"epochs": 1, "batch_size": 240, "optimizer": {"kind": "sgd", "lr": 0.01}}
    model = {"kind": "wide_resnet", "depth": 10, "width": 1}
    file = tmp_path / "experiment.yaml"
    file.write_text(dump(tiny(model=model, training=training)))
    rendezvous = ["--nnodes=2", "--master-addr=10.77.0.1", "--master-port=29500"]
    command = [sys.executable, "-m", "torch.distributed.run", *rendezvous, "--nproc-per-node=2"]
    machines = [
        subprocess.Popen(
            [*enter, *command, f"--node-rank={rank}", "-m", "awlab", "run", str(file), "--json"],
            stdout=subprocess.PIPE,
            text=True,
            # The name of this machine leads to its loopback, as it may in a cluster.
            env={**os.environ, "GLOO_SOCKET_IFNAME": "eth0"},
        )
        for rank, enter in enumerate(namespaces)
    ]
    first, second = (machine.communicate(timeout=300)[0] for machine in machines)
    assert [machine.returncode for machine in machines] == [0, 0]
    assert second == ""
    alone = fit.run(tiny(model=model, training=training, runtime={"root": str(tmp_path / "alone")}))
    assert alone is not None
    assert json.loads(first)["metrics"] == pytest.approx(alone.metrics, rel=1e-3)
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_detector_on_two_ranks(tiny_detection, weights, tmp_path):
    """Images, norms and what is measured are those of one process, to rounding; losses are not.

    Each rank draws the anchors and regions that it learns from. Steps too small to change a weight
    leave nothing else to differ.
    """
    training = {"epochs": 1, "optimizer": {"kind": "sgd", "lr": 1e-12}}
    one, two = (
        tiny_detection(training=training, runtime={"root": str(tmp_path / str(n)), "devices": n})
        for n in (1, 2)
    )
    alone, together = fit.run(one), fit.run(two)
    assert alone is not None
    assert together is not None
    assert together.metrics == pytest.approx(alone.metrics, rel=1e-3)
    assert together.best.metrics == pytest.approx(alone.best.metrics, rel=1e-3)
    expected, found = weights(one), weights(two)
    statistics = [name for name in expected if "running_" in name]
    assert statistics
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5)
    losses = [read_epochs(RunDirectory.of(run))[0].metrics["train/loss"] for run in (one, two)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.3)
