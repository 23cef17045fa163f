import json
from pathlib import Path

import pytest
from PIL import Image

from awlab import build
from awlab.plan import plan
from awlab.record.record import Epoch, Result, write_result
from awlab.record.run_directory import RunDirectory
from awlab.report.wall import LIST
from awlab.spec.ablation import Ablation
from awlab.spec.errors import InputError
from awlab.spec.load import parse
from awlab.train import explain_study as module
from awlab.train.checkpoint import AtomicCheckpointIO
from awlab.train.explain import explain_run
from awlab.train.explain_study import choose_runs, explain_study


def make(root: Path, **changes):
    base = {
        "name": "tiny",
        "model": {"kind": "resnet", "depth": 18, "width": 2, "stem": "cifar"},
        "data": {"kind": "digits"},
        "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
        "runtime": {"root": str(root / "runs"), "gradcam_images": 2},
    }
    axis = {"path": "model.conv", "values": {"plain": None, "aw": {"kind": "aw"}}}
    study = {"name": "tiny", "base": base, "axes": {"conv": axis}, "baseline": "plain", "seeds": 2}
    return plan(parse(Ablation, study | changes))


def finish(run):
    """Leave what a finished run leaves, with the weights of a network that learned nothing."""
    run.directory.create(run.experiment)
    state = build.network(run.experiment).state_dict()
    checkpoint = {
        "experiment": run.experiment.model_dump(mode="json"),
        "state_dict": {f"network.{name}": value for name, value in state.items()},
    }
    AtomicCheckpointIO().save_checkpoint(checkpoint, run.directory.last_checkpoint)
    epoch = Epoch(0, {"val/top1_error": 90.0})
    result = Result(
        run.id, run.experiment.name, {"test/top1_error": 90.0}, 0, epoch, epoch, 1, 1, 1000,
        0.1, 1.0, 10.0, 1000, 1,
    )  # fmt: skip
    write_result(run.directory, result)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A study of which the second seed is finished in both cells, the first in one."""
    root = tmp_path_factory.mktemp("study")
    study = make(root)
    for run in (study["plain"].runs[1], *study["aw"].runs):
        finish(run)
    return root


def test_all_cells_are_explained_at_the_same_seed(root):
    found = explain_study(make(root))
    assert found.wall.cells == {"plain": 1, "aw": 1}
    assert found.lost == {}
    assert found.picture == root / "studies" / "tiny" / "gradcam" / "wall.png"
    with Image.open(found.picture) as sheet:
        assert sheet.width > 800
    assert found.wall.faithful.keys() == {"plain", "aw"}
    assert [line.source for line in found.wall.lines] == [
        line.source for line in found.wall.lines if all(line.pictures)
    ]
    document = found.to_json()
    assert json.loads(json.dumps(document))["cells"]["aw"]["layer"] == "layer3"
    assert 0 <= document["cells"]["aw"]["deletion"] <= 1
    directory = make(root)["aw"].runs[1].directory
    assert (directory.gradcam / "attention.json").is_file()


def test_what_a_run_has_explained_is_not_explained_again(root, monkeypatch):
    explain_study(make(root))
    monkeypatch.setattr(module, "explain_run", pytest.fail)
    assert explain_study(make(root)).wall.cells == {"plain": 1, "aw": 1}


def test_another_layer_has_a_picture_of_its_own(root):
    found = explain_study(make(root), layer="layer2")
    assert found.picture.name == "wall-layer2.png"
    assert set(found.wall.layers.values()) == {"layer2"}


def test_images_of_a_folder(root, tmp_path):
    (tmp_path / "pets").mkdir()
    Image.new("RGB", (20, 20), "red").save(tmp_path / "pets" / "cat.png")
    found = explain_study(make(root), images=tmp_path / "pets")
    assert found.picture.name == "wall-pets.png"
    (line,) = found.wall.lines
    assert line.source == str(tmp_path / "pets" / "cat.png")


def test_a_cell_that_cannot_be_explained_is_told_and_the_others_shown(root):
    weights = make(root)["aw"].runs[1].directory.last_checkpoint
    hidden = weights.with_name("hidden.ckpt")
    weights.rename(hidden)
    try:
        found = explain_study(make(root), layer="layer3")
        assert found.wall.cells == {"plain": 1}
        assert "has no last weights yet" in found.lost["aw"]
    finally:
        hidden.rename(weights)


def test_a_cell_that_tested_other_weights_is_told(tmp_path):
    tested = {"path": "training.test_weights", "values": ["last", "best"]}
    changes = {"axes": {"tested": tested}, "baseline": "last", "seeds": 1}
    for cell in make(tmp_path, **changes).cells:
        finish(cell.runs[0])
    study = make(tmp_path, **changes)
    found = explain_study(study, weights="last")
    assert found.wall.cells == {"last": 0}
    place = study["best"].runs[0].directory.gradcam / "last"
    assert (place / LIST).is_file()
    assert found.lost == {
        "best": f"its run, unlike those that are shown, tested its best weights; see {place}"
    }


def test_a_cell_whose_pictures_cannot_be_read_is_told(root, monkeypatch):
    def forgets(path, **options):
        sheet, found = explain_run(path, **options)
        if path == make(root)["aw"].runs[1].path:
            (sheet.parent / LIST).unlink()
        return sheet, found

    monkeypatch.setattr(module, "explain_run", forgets)
    found = explain_study(make(root), layer="layer1")
    assert found.wall.cells == {"plain": 1}
    assert found.lost == {"aw": "its pictures cannot be read, or there is no room for them"}


def test_a_layer_that_no_network_has(root):
    with pytest.raises(InputError, match=r"no layer 'layr2' in ResNet; did you mean 'layer2'"):
        explain_study(make(root), layer="layr2")


def test_nothing_finished(tmp_path):
    with pytest.raises(InputError, match="no run of the study tiny is finished"):
        explain_study(make(tmp_path))


def test_a_cell_without_a_finished_run_is_told(tmp_path):
    study = make(tmp_path)
    finish(study["plain"].runs[0])
    study = make(tmp_path)
    assert {name: run.seed for name, run in choose_runs(study).items()} == {"plain": 0}
    assert explain_study(study).lost == {"aw": "no run is finished"}


def test_a_cell_without_the_common_seed_has_its_own(root, tmp_path):
    study = make(tmp_path)
    for run in (study["plain"].runs[0], study["aw"].runs[1]):
        RunDirectory(run.path).create(run.experiment)
        finish(run)
    chosen = choose_runs(make(tmp_path))
    assert {name: run.seed for name, run in chosen.items()} == {"plain": 0, "aw": 1}
