from typing import Any

import pytest
import torch

from awlab.data.errors import DataError
from awlab.data.voc import load_voc

CLASSES = ("0", "1", "2")


@pytest.fixture
def folder(small_voc):
    return small_voc / "VOCdevkit"


@pytest.fixture
def difficult(folder):
    """The folder, with every second object marked as difficult."""
    for file in (folder / "VOC2007" / "Annotations").glob("*.xml"):
        first, *others = file.read_text().split("<difficult>0<")
        text = first
        for k, part in enumerate(others):
            text += f"<difficult>{k % 2}<{part}"
        file.write_text(text)
    return folder


def test_two_years_become_three_splits(folder, digit_scenes):
    scenes: Any = load_voc(folder, classes=CLASSES, validation=0.25)
    sizes = [len(split.objects) for split in (scenes.train, scenes.val, scenes.test)]
    assert sizes == [14, 4, 8]
    assert scenes.class_names == CLASSES
    assert len({bytes(path) for path in (*scenes.train.paths, *scenes.val.paths)}) == 18
    for index in range(8):
        assert torch.equal(scenes.test.read(index), digit_scenes.test.read(index))
        ours, theirs = scenes.test.objects[index], digit_scenes.test.objects[index]
        assert torch.equal(ours["boxes"], theirs["boxes"])
        assert torch.equal(ours["labels"], theirs["labels"])
    assert scenes.test.objects.image_ids.tolist() == list(range(8))


def test_a_subset_can_be_the_validation_split(folder):
    scenes = load_voc(
        folder, classes=CLASSES, train=["VOC2007/trainval"], validation="VOC2012/trainval"
    )
    assert (len(scenes.train.objects), len(scenes.val.objects)) == (12, 6)


@pytest.mark.parametrize("train_on_difficult", [True, False])
def test_difficult_objects_are_learned_or_not_and_never_asked_for(difficult, train_on_difficult):
    scenes = load_voc(
        difficult,
        classes=CLASSES,
        train=["VOC2007/trainval"],
        validation="VOC2007/trainval",
        train_on_difficult=train_on_difficult,
    )
    hard = int(scenes.val.objects.iscrowd.sum())
    assert 0 < hard < len(scenes.val.objects.labels)
    assert scenes.train.objects.iscrowd.sum() == 0
    left_out = 0 if train_on_difficult else hard
    assert len(scenes.train.objects.labels) == len(scenes.val.objects.labels) - left_out


def test_missing_files_are_named(folder):
    year = folder / "VOC2007"
    with pytest.raises(DataError, match=r"the list of images .*Main.val\.txt is missing"):
        load_voc(folder, classes=CLASSES, test="VOC2007/val")
    (year / "JPEGImages" / "test_000003.png").unlink()
    with pytest.raises(DataError, match=r"JPEGImages lacks 1 of 8 images: test_000003"):
        load_voc(folder, classes=CLASSES)
    (year / "Annotations" / "trainval_000002.xml").unlink()
    with pytest.raises(DataError, match=r"annotation file .*trainval_000002\.xml is missing"):
        load_voc(folder, classes=CLASSES)
    (year / "JPEGImages").rename(year / "PNGImages")
    with pytest.raises(DataError, match=r"the folder of images .*JPEGImages is missing"):
        load_voc(folder, classes=CLASSES)


def test_lists_without_images_and_damaged_ones_are_named(folder):
    listing = folder / "VOC2007" / "ImageSets" / "Main" / "test.txt"
    listing.write_text("\n")
    with pytest.raises(DataError, match=r"test\.txt lists no images"):
        load_voc(folder, classes=CLASSES)
    listing.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(DataError, match=r"test\.txt is damaged"):
        load_voc(folder, classes=CLASSES)


def test_classes_that_the_yaml_does_not_know_are_named(folder):
    message = "has an object of the class '2', which is not in data.classes: 0, 1"
    with pytest.raises(DataError, match=message):
        load_voc(folder, classes=("0", "1"))


def test_boxes_out_of_their_image_are_refused_or_accepted(folder):
    file = folder / "VOC2007" / "Annotations" / "trainval_000004.xml"
    file.write_text(file.read_text().replace("<xmax>", "<xmax>9", 1))
    with pytest.raises(DataError, match=r"1 of \d+ boxes have parts outside of their image"):
        load_voc(folder, classes=CLASSES)
    assert load_voc(folder, classes=CLASSES, clip_boxes=True).train.objects.boxes.max() > 900
