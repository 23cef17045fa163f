import os
import signal

import pytest
import torch
from rich.console import Console

from awlab.record.environment import read_attempts
from awlab.record.record import read_metrics, read_result, read_validations
from awlab.record.run_directory import RunDirectory
from awlab.train import fit
from awlab.train.callbacks import StepSeed
from awlab.train.guard import DivergedError
from awlab.train.signals import INTERRUPTED, PREEMPTED, StopError

STEPS = 4  # Of an epoch of `tiny`.


def run(experiment):
    result = fit.run(experiment)
    assert result is not None
    return result


def same(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def rows(experiment):
    """What was measured, without what depends on the time of day."""
    found = read_metrics(RunDirectory.of(experiment))
    passing = ("attempt", "train/images_per_second")
    return [{name: row[name] for name in row if name not in passing} for row in found]


@pytest.fixture
def signal_at(monkeypatch):
    """Send this process a signal when the step with this number begins."""
    begin = StepSeed.on_train_batch_start

    def arm(step, number):
        def send_and_begin(self, trainer, *arguments):
            if trainer.global_step == step:
                os.kill(os.getpid(), number)
            begin(self, trainer, *arguments)

        monkeypatch.setattr(StepSeed, "on_train_batch_start", send_and_begin)

    yield arm
    monkeypatch.setattr(StepSeed, "on_train_batch_start", begin)


def test_a_run_leaves_its_record(tiny, capsys):
    experiment = tiny(
        model={"kind": "resnet", "depth": 18, "width": 2, "stem": "cifar", "conv": {"kind": "aw"}},
        runtime={"gradcam_images": 2},
    )
    result = fit.run(experiment, console=Console(width=200))
    directory = RunDirectory.of(experiment)
    assert directory.state == "finished"
    assert read_result(directory) == result
    assert result is not None
    assert result.metrics.keys() == {"test/loss", "test/top1_error", "test/top5_error"}
    assert (result.epochs, result.steps, result.attempts, result.tested_epoch) == (2, 8, 1, 1)
    assert [v.epoch for v in read_validations(directory)] == [0, 1]
    assert result.parameters > 0
    assert result.gmacs > 0
    assert result.seconds > 0
    assert result.images_per_second > 0
    assert result.peak_memory_bytes > 2**20
    assert len(read_attempts(directory)) == 1
    assert len(list(directory.gradcam.glob("*.png"))) >= 2
    assert not directory.error.exists()
    assert "epoch 2/2  val error" in capsys.readouterr().out


def test_a_finished_run_is_not_run_again(tiny, capsys):
    experiment = tiny(training={"epochs": 1})
    first = run(experiment)
    directory = RunDirectory.of(experiment)
    before = {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}
    again = fit.run(experiment, console=Console(width=200))
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")} == before
    assert "is finished: nothing to do" in capsys.readouterr().out


def test_without_a_console_nothing_is_printed(tiny, capfd):
    run(tiny(training={"epochs": 1}))
    assert capfd.readouterr() == ("", "")


def test_the_seed_decides_everything(tiny, weights, tmp_path):
    first, again, other = (
        tiny(seed=seed, runtime={"root": str(tmp_path / root)})
        for seed, root in ((0, "first"), (0, "again"), (1, "other"))
    )
    results = [run(experiment).metrics for experiment in (first, again, other)]
    assert results[0] == results[1] != results[2]
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(other))
    assert rows(first) == rows(again)


def interrupt(experiment, code):
    with pytest.raises(StopError) as stopped:
        fit.run(experiment)
    assert stopped.value.code == code
    assert RunDirectory.of(experiment).state == "interrupted"


@pytest.mark.parametrize(
    "recipe",
    [
        {"training": {}, "runtime": {"checkpoint_every_steps": 1}},
        {"training": {"ema": {"decay": 0.9}}, "runtime": {"max_images_per_device": 125}},
    ],
    ids=["every step", "average and accumulation"],
)
def test_a_run_that_was_interrupted_again_and_again_ends_bit_equal(
    tiny, weights, tmp_path, signal_at, recipe
):
    recipe["training"]["epochs"] = 3
    undisturbed = tiny(**recipe)
    result = run(undisturbed)
    disturbed = tiny(
        training=recipe["training"],
        runtime=recipe["runtime"] | {"root": str(tmp_path / "disturbed")},
    )
    # Within an epoch, in the last step of one, and in the first step of the next.
    for step in (1, STEPS - 1, STEPS, 2 * STEPS - 1, 2 * STEPS + 1):
        signal_at(step, signal.SIGTERM)
        interrupt(disturbed, PREEMPTED)
    signal_at(-1, signal.SIGTERM)
    resumed = run(disturbed)
    assert resumed.attempts == 6
    assert same(weights(disturbed), weights(undisturbed))
    assert resumed.metrics == result.metrics
    assert resumed.best == result.best
    assert rows(disturbed) == rows(undisturbed)


def test_control_c_has_its_own_code(tiny, signal_at):
    signal_at(1, signal.SIGINT)
    interrupt(tiny(), INTERRUPTED)


def test_a_run_resumes_from_the_checkpoint_before_a_damaged_one(tiny, weights, tmp_path, signal_at):
    undisturbed = tiny(runtime={"root": str(tmp_path / "undisturbed")})
    run(undisturbed)
    experiment = tiny()
    signal_at(STEPS + 2, signal.SIGTERM)
    interrupt(experiment, PREEMPTED)
    signal_at(-1, signal.SIGTERM)
    directory = RunDirectory.of(experiment)
    directory.last_checkpoint.write_bytes(directory.last_checkpoint.read_bytes()[:-1000])
    run(experiment)
    assert same(weights(experiment), weights(undisturbed))
    assert "checkpoint passed over" in directory.log.read_text()


def test_a_run_that_diverges_says_so_and_keeps_its_last_finite_checkpoint(tiny, weights):
    experiment = tiny(
        training={
            "epochs": 3,
            "optimizer": {"kind": "sgd", "lr": 1e30},
            "schedule": {"kind": "step", "every_epochs": 1, "warmup_epochs": 2, "gamma": 0.5},
        },
        runtime={"checkpoint_every_steps": 1},
    )
    with pytest.raises(DivergedError, match=r"not finite after step \d+ \(epoch 0\)"):
        fit.run(experiment)
    directory = RunDirectory.of(experiment)
    assert (directory.state, directory.failure) == ("failed", "diverged")
    assert "Traceback" in directory.error.read_text()
    assert all(torch.isfinite(value).all() for value in weights(experiment).values())
