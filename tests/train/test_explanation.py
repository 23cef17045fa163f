import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from awlab.faithfulness import faithfulness
from awlab.gradcam import GradCAM
from awlab.pictures import overlay
from awlab.train import explanation
from awlab.train.explanation import LIST, SHEET, Subjects, write_explanations

NAMES = ("ant", "bee", "cat")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


@pytest.fixture
def subjects(network):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (5, 8, 8, 3), generator=generator, dtype=torch.uint8)
    inputs = pixels.permute(0, 3, 1, 2) / 255
    right = [NAMES[k] for k in network(inputs).argmax(1)]
    wrong = NAMES[(NAMES.index(right[4]) + 1) % 3]
    return Subjects([7, 8, 9, 10, 11], pixels, inputs, [*right[:4], wrong], "test images")


def write(network, subjects, directory, layer=None):
    return write_explanations(network, subjects, NAMES, directory, layer=layer, title="tiny")


def differ(picture, other):
    """The most that a colour differs; one step is the rounding of other sizes of batches."""
    colours, others = (np.asarray(each, dtype=int) for each in (picture, other))
    assert colours.shape == others.shape
    return abs(colours - others).max()


def test_each_image_is_explained_for_what_is_predicted(network, subjects, tmp_path):
    found = write(network, subjects, tmp_path / "gradcam")
    probabilities = network(subjects.inputs).softmax(1)
    for k, one in enumerate(found):
        assert one.source == 7 + k
        assert one.prediction == NAMES[probabilities[k].argmax()]
        assert one.confidence == pytest.approx(probabilities[k].max().item())
        cam = GradCAM(network, "1")(subjects.inputs[k : k + 1])[0]
        expected = overlay(subjects.pixels[k].numpy(), cam.numpy())
        assert differ(Image.open(one.overlay), expected) <= 1
    assert [one.prediction == one.truth for one in found] == [True] * 4 + [False]


def test_how_faithful_each_map_is_stands_beside_it(network, subjects, tmp_path):
    found = write(network, subjects, tmp_path / "gradcam")
    classes = network(subjects.inputs).argmax(1)
    cams = GradCAM(network, "1")(subjects.inputs, classes)
    expected = faithfulness(network, subjects.inputs, cams, classes)
    for name in ("drop", "deletion", "insertion"):
        said = [getattr(one, name) for one in found]
        assert said == pytest.approx(getattr(expected, name).tolist(), abs=1e-4)


def test_files(network, subjects, tmp_path):
    found = write(network, subjects, tmp_path / "run" / "gradcam")
    names = [f"00{k}-{which}.png" for k in range(5) for which in ("input", "overlay")]
    written = sorted(path.name for path in (tmp_path / "run" / "gradcam").iterdir())
    assert written == sorted([*names, SHEET, LIST])
    document = json.loads((tmp_path / "run" / "gradcam" / LIST).read_text())
    assert document["layer"] == "1"
    assert document["images"][4] == {
        "source": 11,
        "image": "004-input.png",
        "overlay": "004-overlay.png",
        "prediction": found[4].prediction,
        "truth": found[4].truth,
        "confidence": found[4].confidence,
        "drop": found[4].drop,
        "deletion": found[4].deletion,
        "insertion": found[4].insertion,
    }
    assert found[4].to_dict()["image"] == str(tmp_path / "run" / "gradcam" / "004-input.png")


def test_pictures_of_before_are_replaced(network, subjects, tmp_path):
    write(network, subjects, tmp_path)
    (tmp_path / "mine.png").touch()
    fewer = Subjects([7], subjects.pixels[:1], subjects.inputs[:1], ["ant"], "test images")
    write(network, fewer, tmp_path)
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == ["000-input.png", "000-overlay.png", SHEET, "mine.png"]


def test_the_number_of_images_at_once_changes_nothing(network, subjects, tmp_path, monkeypatch):
    whole = write(network, subjects, tmp_path / "whole")
    monkeypatch.setattr(explanation, "IMAGES_AT_ONCE", 2)
    parts = write(network, subjects, tmp_path / "parts")
    assert [one.confidence for one in parts] == pytest.approx([one.confidence for one in whole])
    for one, other in zip(parts, whole, strict=True):
        assert differ(Image.open(one.overlay), Image.open(other.overlay)) <= 1


def test_what_the_sheet_says(network, subjects, tmp_path, monkeypatch):
    said = []
    draw = explanation.contact_sheet

    def spy(pairs, **words):
        said.append(words | {"shown": len(pairs)})
        return draw(pairs, **words)

    monkeypatch.setattr(explanation, "contact_sheet", spy)
    write(network, subjects, tmp_path, layer="0")
    write(network, replace(subjects, truths=[None] * 5, what="images of x"), tmp_path)
    monkeypatch.setattr(explanation, "MOST_ON_SHEET", 2)
    write(network, subjects, tmp_path)
    assert [words["subtitle"] for words in said] == [
        "Grad-CAM at 0, 5 test images, 4 right",
        "Grad-CAM at 1, 5 images of x",
        "Grad-CAM at 1, 5 test images, 4 right; the first 2 are shown",
    ]
    assert {words["title"] for words in said} == {"tiny"}
    assert [words["shown"] for words in said] == [5, 5, 2]


def test_a_wrong_layer_leaves_the_folder_alone(network, subjects, tmp_path):
    with pytest.raises(ValueError, match="no layer 'layer9' in Sequential"):
        write(network, subjects, tmp_path / "gradcam", layer="layer9")
    with pytest.raises(ValueError, match=r"layer '4' yields \(5, 3\), not maps"):
        write(network, subjects, tmp_path / "gradcam", layer="4")
    assert not (tmp_path / "gradcam").exists()
