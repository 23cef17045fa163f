import os
import re
import shutil
import signal
import time

import pytest
import torch
from rich.console import Console

from awlab.data import image_files
from awlab.execute.exit_codes import INTERRUPTED, PREEMPTED
from awlab.execute.outcome import Outcome, outcome_of
from awlab.record import environment
from awlab.record.claim import ClaimedElsewhereError, claim
from awlab.record.environment import read_attempts
from awlab.record.record import read_metrics, read_result, read_validations
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.spec.load import load_experiment, parse
from awlab.train import fit
from awlab.train.callbacks import StepSeed
from awlab.train.detection_tally import DetectionTally
from awlab.train.evaluate import evaluate
from awlab.train.explain import explain_run
from awlab.train.guard import DivergedError
from awlab.train.session import Session
from awlab.train.signals import StopError
from awlab.train.trained import TrainedRun

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
        model={
            "kind": "resnet",
            "depth": 18,
            "width": 2,
            "stem": "cifar",
            "conv": {"kind": "aw"},
        },
        runtime={"gradcam_images": 2},
    )
    result = fit.run(experiment, console=Console(width=200))
    directory = RunDirectory.of(experiment)
    assert directory.state == "finished"
    assert read_result(directory) == result
    assert result is not None
    assert result.metrics.keys() == {"test/loss", "test/top1_error", "test/top5_error"}
    assert (result.epochs, result.steps, result.attempts, result.tested_epoch) == (
        2,
        8,
        1,
        1,
    )
    assert [v.epoch for v in read_validations(directory)] == [0, 1]
    assert result.parameters > 0
    assert result.gmacs > 0
    assert result.seconds > 0
    assert result.images_per_second > 0
    assert result.peak_memory_bytes > 2**20
    assert len(read_attempts(directory)) == 1
    assert len(list(directory.gradcam.glob("*.png"))) >= 2
    assert not directory.error.exists()
    assert "epoch 2/2  loss " in capsys.readouterr().out


def test_a_finished_run_is_not_run_again(tiny, capsys):
    experiment = tiny(training={"epochs": 1})
    first = run(experiment)
    directory = RunDirectory.of(experiment)
    before = {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}
    again = fit.run(experiment, console=Console(width=200))
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")} == before
    assert "is finished: nothing to do" in capsys.readouterr().out


def test_a_run_whose_result_was_damaged_is_not_called_finished(tiny, capsys):
    experiment = tiny()
    directory = RunDirectory.of(experiment)
    directory.path.mkdir(parents=True)
    directory.result.write_text("{")
    with pytest.raises(ValueError, match=r"is not the result of a run .*; remove it to finish"):
        fit.run(experiment, console=Console(width=200))
    assert capsys.readouterr().out == ""


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


@pytest.mark.fault
@pytest.mark.parametrize(
    "recipe",
    [
        {"training": {}, "runtime": {"checkpoint_every_steps": 1}},
        {
            "training": {"ema": {"decay": 0.9}},
            "runtime": {"max_images_per_device": 125},
        },
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


def test_a_run_begins_with_the_weights_of_another_and_reads_them_once(tiny, weights, signal_at):
    first = tiny(training={"epochs": 1})
    run(first)
    old = weights(first)
    begun = RunDirectory.of(first).path
    network = {"kind": "wide_resnet", "depth": 10, "width": 1, "dropout": 0.2}
    spec = {"weights": {"file": str(begun), "fresh": ["fc.*"]}}
    signal_at(0, signal.SIGTERM)
    tuned = tiny(model=network | spec, training={"optimizer": {"kind": "sgd", "lr": 1e-6}})
    interrupt(tuned, PREEMPTED)
    shutil.rmtree(begun)
    stored = load_experiment(RunDirectory.of(tuned).experiment)
    assert stored == tuned
    assert run(stored).attempts == 2
    evaluated = TrainedRun.read(RunDirectory.of(tuned).path).network("last")
    for name, value in evaluated.named_parameters():
        close = torch.allclose(value, old[f"network.{name}"], atol=1e-3)
        assert close == (not name.startswith("fc.")), name


@pytest.mark.fault
def test_control_c_has_its_own_code(tiny, signal_at):
    signal_at(1, signal.SIGINT)
    interrupt(tiny(), INTERRUPTED)


@pytest.mark.fault
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


@pytest.mark.fault
def test_a_run_that_diverges_says_so_and_keeps_its_last_finite_checkpoint(tiny, weights):
    experiment = tiny(
        training={
            "epochs": 3,
            "optimizer": {"kind": "sgd", "lr": 1e30},
            "schedule": {
                "kind": "step",
                "every_epochs": 1,
                "warmup_epochs": 2,
                "gamma": 0.5,
            },
        },
        runtime={"checkpoint_every_steps": 1},
    )
    with pytest.raises(DivergedError, match=r"not finite after step \d+ \(epoch 0\)"):
        fit.run(experiment)
    directory = RunDirectory.of(experiment)
    assert (directory.state, directory.failure) == ("failed", "diverged")
    assert "Traceback" in directory.error.read_text()
    assert all(torch.isfinite(value).all() for value in weights(experiment).values())


def refuse(experiment, match):
    """The experiment is refused with this message, and leaves nothing behind."""
    with pytest.raises(InputError, match=match):
        fit.run(experiment)
    assert not RunDirectory.of(experiment).path.exists()


def test_more_devices_than_there_are(tiny):
    refuse(tiny(runtime={"devices": 999}), r"runtime.devices \(=999\) must be from 1 to")


def test_a_batch_larger_than_the_data(tiny):
    refuse(tiny(training={"batch_size": 5000}), r"batch_size \(=5000\) must be at most")


def test_a_batch_that_does_not_divide(tiny):
    refuse(
        tiny(runtime={"max_images_per_device": 99}),
        r"max_images_per_device \(=99\) must divide",
    )


def test_a_number_format_that_the_device_lacks(tiny):
    refuse(tiny(training={"precision": "16-mixed"}), "16-mixed needs a GPU")


@pytest.mark.fault
def test_data_that_are_missing(tiny, tmp_path):
    experiment = tiny(data={"kind": "cifar100"}, runtime={"data_root": str(tmp_path / "nowhere")})
    refuse(experiment, "nowhere")


def test_a_layer_that_does_not_fit(tiny):
    network = {"kind": "wide_resnet", "depth": 10, "width": 1}
    refuse(
        tiny(model=network | {"conv": {"kind": "aw", "expand": {"c2": 7}}}),
        r"model .*7",
    )


@pytest.mark.fault
def test_an_image_that_turns_out_to_be_damaged(tiny, small_image_folder):
    data = {
        "kind": "image_folder",
        "folder": "pets",
        "classes": 3,
        "size": 32,
        "resize": 40,
    }
    for image in (small_image_folder / "pets" / "train" / "fox").iterdir():
        image.write_bytes(image.read_bytes()[:200])
    experiment = tiny(
        data=data | {"validation_fraction": 0.3},
        training={"batch_size": 8},
        runtime={"data_root": str(small_image_folder), "workers": 0},
    )
    refuse(experiment, r"pets/train/fox/fox_\d\.(jpg|png)")


@pytest.mark.fault
def test_a_process_that_reads_images_dies(tiny, small_image_folder, monkeypatch):
    """The run fails fast, tells what was being read, and counts as killed: it is tried again."""
    read = image_files.decode
    victim = small_image_folder / "pets" / "train" / "fox" / "fox_3.png"

    def decode(path, index):
        if path == str(victim):
            os._exit(1)
        return read(path, index)

    monkeypatch.setattr(image_files, "decode", decode)
    experiment = tiny(
        data={"kind": "image_folder", "folder": "pets", "classes": 3, "size": 32, "resize": 40}
        | {"validation_fraction": 0.3},
        training={"batch_size": 4},
        runtime={"data_root": str(small_image_folder), "workers": 1},
    )
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"^DataLoader worker \(pid"):
        fit.run(experiment)
    assert time.monotonic() - start < 60
    directory = RunDirectory.of(experiment)
    assert outcome_of(directory, 1) is Outcome.KILLED
    told = directory.error.read_text()
    assert re.search(
        rf"It was reading, or had just read: .*{victim} \(image \d+ of its split\)", told
    )
    assert "with 0 the run reads by itself" in told


@pytest.mark.fault
def test_a_checkpoint_of_another_experiment(tiny):
    other, experiment = tiny(seed=1, training={"epochs": 1}), tiny()
    run(other)
    directory = RunDirectory.of(experiment)
    shutil.copytree(RunDirectory.of(other).checkpoints, directory.checkpoints)
    with pytest.raises(InputError, match=f"belongs to experiment {other.id}, not to"):
        fit.run(experiment)
    assert directory.last_checkpoint.exists()
    assert directory.state == "missing"


@pytest.mark.fault
def test_a_run_that_another_process_executes_is_left_alone(tiny):
    experiment = tiny()
    directory = RunDirectory.of(experiment)
    start = time.perf_counter()
    with (
        claim(directory.path),
        pytest.raises(ClaimedElsewhereError, match="is being executed by"),
    ):
        fit.run(experiment)
    assert time.perf_counter() - start < 5
    assert directory.state == "missing"


def test_a_failed_run_is_tried_again_from_its_checkpoint(tiny, monkeypatch):
    experiment = tiny()
    with monkeypatch.context() as patch:
        patch.setattr(Session, "_test", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit.run(experiment)
    directory = RunDirectory.of(experiment)
    assert (directory.state, directory.failure) == ("failed", "error")
    assert "ZeroDivisionError" in directory.error.read_text()
    assert run(experiment).attempts == 2
    assert directory.state == "finished"
    assert not directory.error.exists()


@pytest.mark.parametrize("weights_of", ["last", "best"])
def test_the_weights_that_are_asked_for_are_tested(tiny, weights_of):
    # The learning rate of the second epoch ruins the network.
    recipe = {
        "test_weights": weights_of,
        "optimizer": {"kind": "sgd", "lr": 30.0},
        "schedule": {"kind": "constant", "warmup_epochs": 40},
        "epochs": 3,
    }
    result = run(tiny(training=recipe))
    assert result.best.epoch < 2
    best, last = (each.metrics["val/loss"] for each in (result.best, result.last))
    assert last > 3 * best
    expected = result.best if weights_of == "best" else result.last
    assert result.tested_epoch == expected.epoch
    assert result.metrics["test/loss"] == pytest.approx(expected.metrics["val/loss"], rel=0.5)


def test_a_run_in_lower_precision_with_clipped_gradients(tiny):
    recipe = {"epochs": 1, "precision": "bf16-mixed", "gradient_clip_norm": 0.1}
    assert run(tiny(training=recipe)).steps == STEPS


@pytest.mark.fault
def test_a_change_of_versions_is_told(tiny, capsys, monkeypatch, signal_at):
    experiment = tiny()
    signal_at(1, signal.SIGTERM)
    interrupt(experiment, PREEMPTED)
    signal_at(-1, signal.SIGTERM)
    monkeypatch.setattr(environment, "versions", lambda: {"torch": "9.9"})
    fit.run(experiment, console=Console(width=200))
    assert "-> 9.9" in capsys.readouterr().out


DETECTOR_STEPS = 3  # Of an epoch of `tiny_detection`.
PRECISIONS = {"map", "map_50", "map_75"}


def test_a_detector_leaves_its_record(tiny_detection, capsys):
    experiment = tiny_detection(runtime={"gradcam_images": 2})
    result = fit.run(experiment, console=Console(width=200))
    directory = RunDirectory.of(experiment)
    assert result is not None
    assert read_result(directory) == result
    assert result.metrics.keys() == {f"test/{name}" for name in PRECISIONS}
    assert result.best.metrics.keys() == {f"val/{name}" for name in PRECISIONS}
    assert (result.steps, result.tested_epoch) == (2 * DETECTOR_STEPS, 1)
    of_training = {name for row in read_metrics(directory) for name in row if "train/loss" in name}
    parts = ("classifier", "box_reg", "objectness", "rpn_box_reg")
    assert of_training == {"train/loss", *(f"train/loss_{part}" for part in parts)}
    assert (directory.detections / "contact_sheet.png").is_file()
    assert len(list(directory.detections.glob("*-found.png"))) == 2
    assert not directory.gradcam.exists()
    assert "val AP " in capsys.readouterr().out
    assert evaluate(directory.path) == result.metrics
    assert evaluate(directory.path, split="val", weights="best") == result.best.metrics
    with pytest.raises(InputError, match=r"is a run of a detector, .* are in .*detections"):
        explain_run(directory.path)


@pytest.mark.parametrize("step", [1, pytest.param(DETECTOR_STEPS, marks=pytest.mark.slow)])
def test_a_detector_resumes_exactly(step, tiny_detection, weights, signal_at, tmp_path):
    """Within an epoch and at its end, with sampled regions, EMA, warm-up and clipping."""
    recipe = {
        "ema": {"decay": 0.9},
        "gradient_clip_norm": 1.0,
        "optimizer": {"kind": "sgd", "lr": 0.01, "momentum": 0.9},
    }
    whole, broken = (
        tiny_detection(training=recipe, runtime={"root": str(tmp_path / root)})
        for root in ("whole", "broken")
    )
    run(whole)
    signal_at(step, signal.SIGTERM)
    interrupt(broken, PREEMPTED)
    signal_at(-1, signal.SIGTERM)
    run(broken)
    assert same(weights(whole), weights(broken))
    assert rows(whole) == rows(broken)


def test_the_best_epoch_of_a_detector_has_the_highest_precision(tiny_detection, monkeypatch):
    precisions = iter([10.0, 30.0, 20.0, 5.0])  # Three validations and the test.
    monkeypatch.setattr(
        DetectionTally, "compute", lambda self: {"map": torch.tensor(next(precisions))}
    )
    experiment = tiny_detection(training={"epochs": 3, "test_weights": "best"})
    result = run(experiment)
    assert (result.best.epoch, result.best.metrics) == (1, {"val/map": 30.0})
    assert (result.tested_epoch, result.metrics) == (1, {"test/map": 5.0})


def test_precision_of_numbers_and_accumulation_of_a_detector(tiny_detection):
    training, runtime = (
        {"precision": "bf16-mixed", "epochs": 1},
        {"max_images_per_device": 2},
    )
    assert run(tiny_detection(training=training, runtime=runtime)).steps == DETECTOR_STEPS


@pytest.mark.slow
def test_an_ssd_is_trained_alike(tiny_detection):
    """Its images are 300 pixels wide whatever the data are."""
    experiment = tiny_detection(training={"epochs": 1, "batch_size": 12})
    network = {
        "kind": "ssd300",
        "conv": {"kind": "aw", "norm": "layer", "min_hidden": 4},
    }
    spec = experiment.model_dump(mode="json") | {"model": network}
    spec["data"] |= {"train_images": 2, "validation_images": 1, "test_images": 1}
    spec["training"]["batch_size"] = 2
    result = run(parse(Experiment, spec))
    assert result.steps == 1
    assert result.metrics.keys() >= {"test/map"}
