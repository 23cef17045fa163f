import errno
import io
import os
import pickle
from pathlib import Path

import pytest
import torch

from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.train import checkpoint as checkpoint_module
from awlab.train.checkpoint import (
    AtomicCheckpointIO,
    CorruptCheckpointError,
    DiskFullError,
    keep_as,
    load,
    newest_good,
    sweep,
)


def experiment(seed=0):
    return Experiment.model_validate(
        {
            "name": "digits",
            "model": {"kind": "resnet", "depth": 18, "width": 4, "stem": "cifar"},
            "data": {"kind": "digits"},
            "training": {"epochs": 1, "batch_size": 64, "optimizer": {"kind": "sgd", "lr": 0.1}},
            "seed": seed,
        }
    )


def write(path, step=1, seed=0):
    content = {
        "state_dict": {"weight": torch.full((1000,), float(step))},
        "global_step": step,
        "experiment": experiment(seed).model_dump(mode="json"),
    }
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def step_of(path):
    return load(path, experiment())["global_step"]


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_is_written_is_read(tmp_path):
    path = write(tmp_path / "checkpoints" / "last.ckpt", step=7)
    assert torch.equal(load(path, experiment())["state_dict"]["weight"], torch.full((1000,), 7.0))
    assert sorted(p.name for p in path.parent.iterdir()) == ["last.ckpt", "last.ckpt.sha256"]


@pytest.mark.fault
def test_a_flipped_bit_is_noticed(tmp_path):
    path = write(tmp_path / "last.ckpt")
    flip_a_bit(path)
    with pytest.raises(CorruptCheckpointError, match=r"last.ckpt differs from what was written"):
        load(path, experiment())


@pytest.mark.fault
def test_without_a_sum_a_checkpoint_is_read_with_a_warning(tmp_path, caplog):
    path = write(tmp_path / "last.ckpt")
    (tmp_path / "last.ckpt.sha256").unlink()
    assert step_of(path) == 1
    assert "has no sha256 sum beside it" in caplog.text


@pytest.mark.fault
def test_without_a_sum_damage_is_noticed_when_it_cannot_be_read(tmp_path):
    path = write(tmp_path / "last.ckpt")
    (tmp_path / "last.ckpt.sha256").unlink()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptCheckpointError, match=r"last.ckpt cannot be read"):
        load(path, experiment())


@pytest.mark.fault
def test_a_checkpoint_never_runs_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "last.ckpt"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CorruptCheckpointError):
        load(path, experiment())
    torch.save({"global_step": 1, "state_dict": Evil()}, path)
    with pytest.raises(CorruptCheckpointError):
        load(path, experiment())
    assert not (tmp_path / "ran").exists()


@pytest.mark.fault
def test_a_checkpoint_of_another_experiment_is_refused(tmp_path):
    path = write(tmp_path / "last.ckpt", seed=1)
    with pytest.raises(
        InputError, match=f"belongs to experiment {experiment(1).id}, not to {experiment(0).id}"
    ):
        newest_good([path], experiment(0))


def test_a_file_that_is_no_checkpoint_of_ours_is_refused(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"global_step": 1}, path)
    with pytest.raises(InputError, match="does not say which experiment it belongs to"):
        newest_good([path], experiment())


@pytest.mark.fault
@pytest.mark.parametrize("damage", [flip_a_bit, Path.unlink, lambda path: path.write_bytes(b"")])
def test_the_one_before_is_used_when_the_newest_is_damaged(tmp_path, damage):
    last, previous = write(tmp_path / "last.ckpt", step=2), write(tmp_path / "previous.ckpt")
    assert newest_good([last, previous], experiment()) == last
    damage(last)
    assert newest_good([last, previous], experiment()) == previous
    damage(previous)
    assert newest_good([last, previous], experiment()) is None


def test_a_second_name_keeps_what_it_names(tmp_path):
    last, best = write(tmp_path / "last.ckpt", step=1), tmp_path / "best.ckpt"
    keep_as(last, best)
    write(last, step=2)
    assert (step_of(last), step_of(best)) == (2, 1)
    keep_as(last, best)
    assert step_of(best) == 2


def test_a_second_name_is_a_copy_where_links_do_not_exist(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    last, best = write(tmp_path / "last.ckpt", step=1), tmp_path / "best.ckpt"
    keep_as(last, best)
    write(last, step=2)
    assert step_of(best) == 1


@pytest.mark.fault
@pytest.mark.parametrize("moment", ["_write", "_add_sum", "_sync_folder"])
def test_whenever_a_write_is_killed_a_good_checkpoint_is_there(tmp_path, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    path = write(tmp_path / "last.ckpt", step=1)
    monkeypatch.setattr(checkpoint_module, moment, die)
    with pytest.raises(Killed):
        write(path, step=2)
    assert step_of(path) in (1, 2)
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.fault
def test_a_kill_between_the_sum_and_the_checkpoint_harms_neither(tmp_path):
    path = write(tmp_path / "last.ckpt", step=1)
    other = write(tmp_path / "other.ckpt", step=2)
    new_sum = (tmp_path / "other.ckpt.sha256").read_text().split()[-1]
    checkpoint_module._add_sum(path, new_sum)
    assert step_of(path) == 1
    other.replace(path)
    assert step_of(path) == 2


@pytest.mark.fault
@pytest.mark.parametrize("room", [0, 100, 3000])
def test_a_full_disk_is_called_that_and_costs_nothing(tmp_path, monkeypatch, room):
    """Also when others have made room by the time that somebody looks."""
    path = write(tmp_path / "last.ckpt", step=1)
    monkeypatch.setattr(_SmallDisk, "room", room)
    monkeypatch.setattr(checkpoint_module.io, "FileIO", _SmallDisk)
    with pytest.raises(DiskFullError, match=r"disk full at .*: \d+ bytes are free"):
        write(path, step=2)
    assert step_of(path) == 1
    assert not list(tmp_path.glob(".*.tmp"))


class _SmallDisk(io.FileIO):
    """A file on a disk that has room for so many bytes."""

    room = 0

    def write(self, content):
        self.room -= len(content)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content)


def test_other_errors_of_a_write_stay_what_they_are(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RuntimeError, match="no such operator"):
        write(tmp_path / "last.ckpt")


@pytest.mark.fault
def test_drafts_of_killed_processes_are_swept(tmp_path):
    write(tmp_path / "last.ckpt")
    (tmp_path / ".last.ckpt.123.tmp").write_bytes(b"half")
    sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.ckpt", "last.ckpt.sha256"]


def test_removing_takes_the_sum_along(tmp_path):
    AtomicCheckpointIO().remove_checkpoint(write(tmp_path / "last.ckpt"))
    assert not list(tmp_path.iterdir())
