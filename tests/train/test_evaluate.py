import pytest
import torch
from torch.nn import functional as F

from awlab import build
from awlab.data import ClassificationData
from awlab.record.run_directory import RunDirectory
from awlab.spec import EMA, SGD, Digits, Experiment, ResNet, Runtime, Training
from awlab.spec.errors import InputError
from awlab.train.checkpoint import AtomicCheckpointIO
from awlab.train.evaluate import evaluate
from awlab.train.fit import run as fit
from awlab.train.trained import TrainedRun


def experiment(root):
    return Experiment(
        name="tiny",
        model=ResNet(depth=18, width=2, stem="cifar"),
        data=Digits(),
        training=Training(
            epochs=1, batch_size=64, optimizer=SGD(lr=0.1), ema=EMA(decay=0.9), label_smoothing=0.1
        ),
        runtime=Runtime(
            root=str(root), accelerator="cpu", devices=1, gradcam_images=0, wandb="disabled"
        ),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run and its result."""
    spec = experiment(tmp_path_factory.mktemp("runs"))
    result = fit(spec)
    return RunDirectory.of(spec), result


def test_the_test_of_the_run_is_repeated(finished):
    directory, result = finished
    assert evaluate(directory.path) == result.metrics


def test_validation_images_and_best_weights(finished):
    directory, result = finished
    metrics = evaluate(directory.path, split="val", weights="best")
    assert metrics == pytest.approx(result.best.metrics)


def test_metrics_are_what_they_say(finished):
    directory, _ = finished
    run = TrainedRun.read(directory.path)
    data = run.data()
    assert isinstance(data, ClassificationData)
    images = data.image_set.test
    inputs = data.normalize(images.read(range(len(images.labels))))
    with torch.no_grad():
        logits = run.network("last")(inputs)
    wrong = 0
    for scores, label in zip(logits, images.labels, strict=True):
        wrong += int(scores.argmax() != label)
    metrics = evaluate(directory.path)
    assert metrics["test/top1_error"] == pytest.approx(100 * wrong / len(logits))
    loss = F.cross_entropy(logits, images.labels).item()
    assert metrics["test/loss"] == pytest.approx(loss, rel=1e-5)


def test_the_run_directory_stays_as_it_is(finished):
    directory, _ = finished
    before = {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")}
    evaluate(directory.path)
    assert {path: path.stat().st_mtime_ns for path in directory.path.rglob("*")} == before


def test_an_interrupted_run_is_evaluated_too(tmp_path):
    spec = experiment(tmp_path)
    directory = RunDirectory.of(spec)
    directory.create(spec)
    with pytest.raises(InputError, match=r"has no last weights yet: checkpoints/last\.ckpt is mis"):
        evaluate(directory.path)
    state = {f"network.{name}": v for name, v in build.network(spec).state_dict().items()}
    AtomicCheckpointIO().save_checkpoint(
        {"experiment": spec.model_dump(mode="json"), "state_dict": state},
        directory.last_checkpoint,
    )
    assert 50 < evaluate(directory.path)["test/top1_error"] <= 100
