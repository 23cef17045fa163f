import json

import numpy as np
import pytest
import torch
from PIL import Image

from awlab import build
from awlab.record.run_directory import RunDirectory
from awlab.spec import SGD, Digits, Experiment, ResNet, Runtime, Training
from awlab.spec.errors import InputError
from awlab.train.checkpoint import AtomicCheckpointIO
from awlab.train.explain import explain, explain_run
from awlab.train.spread import spread
from awlab.train.trained import TrainedRun


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on digits that has weights, though not good ones."""
    spec = Experiment(
        name="tiny",
        model=ResNet(depth=18, width=2, stem="cifar"),
        data=Digits(),
        training=Training(epochs=3, batch_size=8, optimizer=SGD(lr=0.1)),
        runtime=Runtime(root=str(tmp_path_factory.mktemp("runs")), gradcam_images=3),
    )
    directory = RunDirectory.of(spec)
    directory.create(spec)
    state = build.network(spec).state_dict()
    checkpoint = {
        "experiment": spec.model_dump(mode="json"),
        "state_dict": {f"network.{name}": value for name, value in state.items()},
    }
    for path in (directory.last_checkpoint, directory.best_checkpoint):
        AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    return TrainedRun(directory, spec)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "my photos"
    folder.mkdir()
    for name, value in {"b.png": 200, "a.jpg": 100}.items():
        Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(folder / name)
    return folder


def test_explain_shows_test_images_with_their_truth(run, tmp_path):
    network, data = run.network("last"), run.data()
    found = explain(network, data, tmp_path / "tiny-run" / "gradcam", [5, 3])
    assert [one.source for one in found] == [5, 3]
    assert [one.truth for one in found] == [data.class_names[data.test_labels[k]] for k in (5, 3)]
    _, inputs, _ = data.test_images([5, 3])
    predicted = network(inputs).argmax(1).tolist()
    assert [one.prediction for one in found] == [data.class_names[k] for k in predicted]
    assert sorted(path.name for path in (tmp_path / "tiny-run" / "gradcam").glob("00*")) == [
        "000-input.png",
        "000-overlay.png",
        "001-input.png",
        "001-overlay.png",
    ]


def test_a_run_is_explained_on_the_images_that_it_chose(run):
    sheet, found = explain_run(run.directory.path)
    assert sheet == run.directory.gradcam / "contact_sheet.png"
    assert sheet.is_file()
    assert [one.source for one in found] == spread(run.data().test_labels, 3)


def test_another_layer_or_other_weights_leave_the_pictures_of_the_run_alone(run):
    explain_run(run.directory.path)
    before = (run.directory.gradcam / "contact_sheet.png").stat().st_mtime_ns
    sheet, _ = explain_run(run.directory.path, layer="layer2.0")
    assert sheet == run.directory.gradcam / "layer2.0" / "contact_sheet.png"
    assert json.loads((sheet.parent / "explanations.json").read_text())["layer"] == "layer2.0"
    sheet, _ = explain_run(run.directory.path, weights="best")
    assert sheet == run.directory.gradcam / "best" / "contact_sheet.png"
    assert (run.directory.gradcam / "contact_sheet.png").stat().st_mtime_ns == before


def test_images_of_a_folder(run, photos):
    sheet, found = explain_run(run.directory.path, images=photos, layer="layer3")
    assert sheet.parent.name == "my_photos-layer3"
    assert [one.source for one in found] == [str(photos / "a.jpg"), str(photos / "b.png")]
    assert [one.truth for one in found] == [None, None]
    grey = Image.open(found[1].image)
    assert grey.getpixel((0, 0)) == (200, 200, 200)
    data = run.data()
    seen = torch.full((1, 1, 8, 8), 200 / 255)
    logits = run.network("last")((seen - data.mean[0]) / data.std[0])
    assert found[1].confidence == pytest.approx(logits.softmax(1).max().item(), abs=1e-5)


def test_a_misspelt_layer(run):
    with pytest.raises(InputError, match=r"no layer 'layr3' in ResNet; did you mean 'layer3'"):
        explain_run(run.directory.path, layer="layr3")
    assert not (run.directory.gradcam / "layr3").exists()


def test_an_unreadable_image_is_named(run, photos):
    (photos / "c.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"c\.png cannot be read as an image"):
        explain_run(run.directory.path, images=photos)


def test_a_folder_without_images(run, tmp_path):
    with pytest.raises(InputError, match="has no images"):
        explain_run(run.directory.path, images=tmp_path)
