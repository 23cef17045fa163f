"""Runs that are killed from outside, with no chance to say goodbye."""

import shutil
import signal
import time
from pathlib import Path

import pytest

from awlab.execute.child import WarmChild
from awlab.execute.devices import Share
from awlab.record.claim import ClaimedElsewhereError, Holder, living_holder
from awlab.record.record import read_metrics, read_result
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.load import dump
from awlab.train.devices import Devices
from awlab.train.session import Session
from awlab.train.signals import StopSignals

MORTAL = """
import os, signal
from awlab.train.callbacks import StepSeed

begin = StepSeed.on_train_batch_start

def die_or_begin(self, trainer, *arguments):
    if str(trainer.global_step) == os.environ.get("DIE_AT"):
        os.kill(os.getpid(), signal.SIGKILL)
    begin(self, trainer, *arguments)

StepSeed.on_train_batch_start = die_or_begin
"""


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """Start `awlab run` in a process of its own that kills itself before a step."""
    (tmp_path / "mortal.py").write_text(MORTAL)
    monkeypatch.chdir(tmp_path)

    def run(experiment, die_at):
        monkeypatch.setenv("DIE_AT", str(die_at))
        Path("experiment.yaml").write_text(dump(experiment))
        child = WarmChild(["run", "experiment.yaml"], Share((), 1), tmp_path / "child.txt")
        while (code := child.poll()) is None:
            time.sleep(0.02)
        return code

    return run


@pytest.mark.fault
def test_a_run_that_was_killed_again_and_again_ends_bit_equal(tiny, weights, killed, tmp_path):
    recipe = {"plugins": ["mortal"], "training": {"epochs": 3, "ema": {"decay": 0.9}}}
    undisturbed = tiny(**recipe, runtime={"root": str(tmp_path / "undisturbed")})
    assert killed(undisturbed, die_at=-1) == 0
    experiment = tiny(**recipe, runtime={"checkpoint_every_steps": 2})
    for step in (1, 3, 6, 8, 11):
        assert killed(experiment, die_at=step) == -signal.SIGKILL
        assert RunDirectory.of(experiment).state == "interrupted"
    assert killed(experiment, die_at=-1) == 0
    ours, theirs = RunDirectory.of(experiment), RunDirectory.of(undisturbed)
    assert read_result(ours).attempts == 6
    assert read_result(ours).metrics == read_result(theirs).metrics
    found, expected = weights(experiment), weights(undisturbed)
    assert all(found[name].equal(expected[name]) for name in expected)
    errors = [
        [row["val/top1_error"] for row in read_metrics(directory) if "val/top1_error" in row]
        for directory in (ours, theirs)
    ]
    assert errors[0] == errors[1]
    assert len(errors[0]) == 3


@pytest.mark.fault
def test_a_run_that_somebody_else_finished_meanwhile_is_left_alone(tiny):
    experiment = tiny()
    directory = RunDirectory.of(experiment)
    directory.create(experiment)
    directory.result.write_text("{}")  # Since `awlab run` looked, before it imported torch.
    session = Session(experiment, directory, Devices("cpu", 1), StopSignals())
    with pytest.raises(ClaimedElsewhereError, match="was finished by another process"):
        session.run()
    assert directory.result.read_text() == "{}"
    assert not directory.environment.exists()
    assert living_holder(directory.path) is None


@pytest.mark.parametrize("planned", [True, False])
def test_a_refusal_removes_only_what_this_process_made(tiny, monkeypatch, planned):
    def refuse(*_, **__):
        raise InputError("no")

    monkeypatch.setattr(Session, "_work", refuse)
    experiment = tiny()
    directory = RunDirectory.of(experiment)
    if planned:
        directory.create(experiment)
    with pytest.raises(InputError, match="no"):
        Session(experiment, directory, Devices("cpu", 1), StopSignals()).run()
    assert directory.path.exists() == planned
    assert living_holder(directory.path) is None


def test_a_refused_run_is_removed_while_it_is_still_ours(tiny, monkeypatch):
    def refuse(*_, **__):
        raise InputError("no")

    def remove(path, **options):
        holders.append(living_holder(path))
        removed(path, **options)

    holders, removed = [], shutil.rmtree
    monkeypatch.setattr(Session, "_work", refuse)
    monkeypatch.setattr(shutil, "rmtree", remove)
    experiment = tiny()
    directory = RunDirectory.of(experiment)
    with pytest.raises(InputError, match="no"):
        Session(experiment, directory, Devices("cpu", 1), StopSignals()).run()
    assert holders == [Holder.here()]
    assert not directory.path.exists()
