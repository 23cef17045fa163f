"""Files of a study that are damaged, edited, stale, or cannot be written."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def interrupted(lab):
    """A study that was ended while it ran; returns a run that has two checkpoints or more."""
    manager = lab.start()
    held = lab.hold(epochs=2)
    os.kill(manager.pid, signal.SIGTERM)
    lab.let_go(held)
    assert manager.wait() == 75
    run = held[0].run
    assert run.directory.previous_checkpoint.exists()
    return run


@pytest.fixture
def small_disk(lab):
    """Let the runs be on a disk of their own, of 3 MB at first; returns a function to change it."""
    lab.study["base"]["model"]["width"] = 8  # A checkpoint has 1.4 MB.
    lab.study["base"]["runtime"]["root"] = "disk/runs"
    disk = lab.folder / "disk"
    disk.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not mount("size=3m"):
        pytest.skip("only root may mount a small disk")
    yield lambda *options: mount("remount", *options)
    subprocess.run(["umount", "-l", str(disk)], check=False)


def damage(lab, path, change):
    lab.ledger.injected += 1
    path.write_bytes(change(path.read_bytes()))


def finish(lab, undisturbed):
    """The same command ends the study, with the results of an undisturbed one."""
    assert lab.ablate() == 0, lab.output
    assert lab.results() == undisturbed


@pytest.mark.parametrize("kind", ["cut off", "empty", "a flipped bit"])
def test_a_damaged_checkpoint(lab, interrupted, undisturbed, kind):
    changes = {
        "cut off": lambda content: content[: len(content) // 2],
        "empty": lambda content: b"",
        "a flipped bit": lambda content: (
            content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
        ),
    }
    damage(lab, interrupted.directory.last_checkpoint, changes[kind])
    finish(lab, undisturbed)
    assert "checkpoint passed over" in interrupted.directory.log.read_text()


def test_a_run_directory_in_pieces(lab, interrupted, undisturbed):
    """A cut line of metrics, no environment, half an error, and drafts of a killed process."""
    directory = interrupted.directory
    damage(lab, directory.metrics, lambda content: content + content.splitlines()[-1][:20])
    damage(lab, directory.environment, lambda content: content[:10])
    (directory.checkpoints / ".last.ckpt.1.tmp").write_bytes(b"half")
    (directory.path / ".result.json.1.tmp").write_text("{")
    directory.error.write_text("killed")
    lab.ledger.injected += 3
    finish(lab, undisturbed)


def test_a_run_directory_without_its_experiment(lab, interrupted, undisturbed):
    lab.ledger.injected += 1
    interrupted.directory.experiment.unlink()
    finish(lab, undisturbed)


def test_a_run_directory_that_was_moved(lab, interrupted, undisturbed):
    lab.ledger.injected += 1
    moved = interrupted.path.with_name("moved-by-hand")
    interrupted.path.rename(moved)
    assert lab.ablate() == 0, lab.output
    assert (moved / "result.json").exists()
    moved.rename(interrupted.path)
    assert lab.results() == undisturbed


def test_a_run_directory_that_was_edited(lab, interrupted, undisturbed):
    file = interrupted.directory.experiment
    before = file.read_bytes()
    damage(lab, file, lambda content: content.replace(b"lr: 0.05", b"lr: 0.5"))
    assert lab.ablate() == 1
    assert "the file was edited after the run began" in lab.output
    assert [run.state for run in lab.plan().runs].count("finished") == 3
    file.write_bytes(before)
    finish(lab, undisturbed)


def test_a_result_that_was_edited(lab, undisturbed):
    assert lab.ablate() == 0, lab.output
    file = lab.plan().runs[0].directory.result
    damage(lab, file, lambda content: content[:100])
    assert lab.ablate() == 1
    assert f"damaged: {file.relative_to(lab.folder)}; remove it" in lab.output
    file.unlink()
    finish(lab, undisturbed)


def test_stale_claims(lab, interrupted, undisturbed):
    """Of a process of this machine that is gone, and of a machine that is silent."""
    claims = interrupted.path / "claims"
    shutil.rmtree(claims)
    other = next(run for run in lab.plan().runs if run.path != interrupted.path)
    other.directory.create(other.experiment)
    for folder, host in ((claims, os.uname().nodename), (other.path / "claims", "gone")):
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        claim = folder / "000007.json"
        claim.write_text(json.dumps({"host": host, "pid": 2**22 - 1, "started": 7}))
        long_ago = time.time() - 1000
        os.utime(claim, (long_ago, long_ago))
        lab.ledger.injected += 1
    finish(lab, undisturbed)


def test_a_full_disk(lab, small_disk):
    lab.ledger.injected += 1
    assert lab.ablate() == 1, lab.output
    assert "disk full" in lab.output
    states = [run.state for run in lab.plan().runs]
    assert "missing" in states  # There is no point in beginning the others.
    assert small_disk("size=64m")
    assert lab.ablate() == 0, lab.output
    lab.results()
    assert lab.ledger.lost == 0


def test_a_disk_that_becomes_full_during_a_run(lab, small_disk):
    """The metrics, the log and the claim are on it, too."""
    assert small_disk("size=64m")
    manager = lab.start()
    (held,) = lab.hold()
    lab.ledger.injected += 1
    filler = lab.folder / "disk" / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"0" * 65536)
            file.flush()
    held.go_on()
    assert manager.wait() == 1, lab.output
    assert "disk full" in lab.output
    assert held.run.directory.last_checkpoint.exists()
    filler.unlink()
    assert lab.ablate() == 0, lab.output
    lab.results()
    assert lab.ledger.lost == 0


def test_a_folder_that_cannot_be_written(lab, small_disk):
    lab.ledger.injected += 1
    assert small_disk("ro")
    assert lab.ablate() == 2
    assert "cannot write the folder of the study disk/studies/tiny: Read-only" in lab.output
    assert small_disk("rw,size=64m")
    assert lab.ablate("--limit", "1") == 0, lab.output


def test_a_study_that_was_moved(lab, interrupted, undisturbed):
    """Nothing in it says where it was."""
    lab.ledger.injected += 1
    moved = lab.folder.with_name(f"{lab.folder.name}-elsewhere")
    lab.folder.rename(moved)
    lab.folder = moved
    finish(lab, undisturbed)
    assert lab.attempts()[interrupted.path.name] == 2
