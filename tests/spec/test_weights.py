import hashlib

import pytest

from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import SpecError
from awlab.spec.experiment import Experiment
from awlab.spec.load import dump, load_experiment, parse
from awlab.spec.weights import IN_RUN, Weights

BASE = {
    "name": "fine",
    "model": {"kind": "resnet", "depth": 18},
    "data": {"kind": "digits"},
    "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
}


def experiment(**weights) -> Experiment:
    return parse(Experiment, {**BASE, "model": {**BASE["model"], "weights": weights}})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "resnet.pt"
    path.write_bytes(b"some weights")
    return path


def test_a_run_directory_stands_for_its_last_weights():
    assert RunDirectory("run").path / IN_RUN == RunDirectory("run").last_checkpoint


def test_the_content_is_found_out(file):
    digest = hashlib.sha256(b"some weights").hexdigest()
    assert Weights(file=str(file)).sha256 == digest
    run = file.parent / "run-0123456789"
    (run / "checkpoints").mkdir(parents=True)
    file.rename(run / IN_RUN)
    weights = Weights(file=str(run))
    assert (weights.sha256, weights.path) == (digest, run / IN_RUN)
    assert weights.file == str(run)


def test_a_file_that_changes_is_read_again(file):
    first = Weights(file=str(file)).sha256
    file.write_bytes(b"other weights")
    assert Weights(file=str(file)).sha256 != first


def test_the_content_and_not_the_place_is_the_identity(file):
    plain = parse(Experiment, BASE).id
    first = experiment(file=str(file))
    moved = file.rename(file.with_name("moved.pt"))
    assert experiment(file=str(moved)).id == first.id != plain
    assert experiment(file=str(moved), fresh=["fc.*"]).id != first.id
    assert experiment(file=str(moved), into="layer1").id != first.id
    moved.write_bytes(b"other weights")
    assert experiment(file=str(moved)).id != first.id


def test_a_stored_experiment_needs_the_file_no_more(file, tmp_path):
    first = experiment(file=str(file), fresh=["fc.*"])
    stored = tmp_path / "experiment.yaml"
    stored.write_text(dump(first))
    file.unlink()
    assert load_experiment(stored) == first
    assert load_experiment(stored).id == first.id


def test_a_known_content_needs_no_file(file):
    first = experiment(file=str(file))
    digest = Weights(file=str(file)).sha256
    file.unlink()
    assert experiment(file=str(file), sha256=digest).id == first.id


GONE = (
    "; a run that has begun with it goes on from its own experiment.yaml, or with the sha256 that "
    "stands there$"
)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"file": "nowhere.pt"}, r"^model\.weights: there is no nowhere\.pt" + GONE),
        ({"file": "."}, r"^model\.weights: there is no checkpoints/last\.ckpt" + GONE),
        ({"file": "x" * 300}, r"^model\.weights: x* cannot be read: File name too long$"),
        ({"file": ""}, r"^model\.weights\.file: must be text of 1 or more characters, not ''$"),
        ({"file": 5}, r"^model\.weights\.file: must be text, not 5"),
        ({}, r"^model\.weights\.file: is missing$"),
        ({"file": "a", "sha256": "b"}, r"^model\.weights\.sha256: must be text that matches"),
        ("resnet.pt", r"^model\.weights: must be a mapping, not 'resnet.pt'$"),
    ],
)
def test_what_is_refused(weights, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=message):
        parse(Experiment, {**BASE, "model": {**BASE["model"], "weights": weights}})
