import os
from pathlib import Path

import pytest
import torch

from awlab.data.coco_file import read_coco_file
from awlab.data.errors import DataError
from awlab.data.objects import Objects, target
from awlab.data.scenes import SceneArray, SceneSet


@pytest.fixture
def files(small_coco):
    folder = small_coco / "coco"
    path = folder / "annotations" / "instances_train2017.json"
    return read_coco_file(path, folder / "train2017", 3)[0]


def test_images_are_bytes_in_three_channels(files, digit_scenes):
    assert files.read(3).dtype == torch.uint8
    assert torch.equal(files.read(3), digit_scenes.train.read(3))


def test_a_damaged_image_is_named(files):
    path = Path(os.fsdecode(files.paths[4]))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=rf"^{path} \(image 4 of its split\) cannot be read: "):
        files.read(4)


def test_an_image_that_was_resized_after_it_was_annotated_is_named(small_coco, edit_coco):
    folder = small_coco / "coco"
    path = edit_coco(folder, "train2017", lambda content: content["images"][1].update(width=640))
    scenes, _ = read_coco_file(path, folder / "train2017", 3)
    message = r"0001\.png has 64 x 64 pixels, its annotation says 640 x 64: the boxes may not fit"
    with pytest.raises(DataError, match=message):
        scenes.read(1)


def test_holding_out_divides_images_with_their_objects(files):
    rest, held_out = files.hold_out(0.25, seed=1)
    ids = [part.objects.image_ids.tolist() for part in (rest, held_out)]
    assert [len(part) for part in ids] == [9, 3]
    assert sorted(ids[0] + ids[1]) == list(range(12))
    for part in (rest, held_out):
        for index, image in enumerate(part.objects.image_ids.tolist()):
            assert torch.equal(part.read(index), files.read(image))
            assert torch.equal(part.objects[index]["boxes"], files.objects[image]["boxes"])


@pytest.mark.parametrize("crowd", [True, False])
def test_splits_in_which_nothing_can_be_found_are_refused(crowd):
    pixels = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    filled = SceneArray(pixels, Objects.of([target([[0, 0, 4, 4]], [1])]))
    only_crowd = target([[0, 0, 4, 4]], [1], iscrowd=[1])
    nothing = SceneArray(pixels, Objects.of([only_crowd if crowd else target([], [])]))
    SceneSet(nothing, filled, filled, ("a",))
    with pytest.raises(DataError, match="the 1 validation images have no objects to find"):
        SceneSet(filled, nothing, filled, ("a",))
    with pytest.raises(DataError, match="the 1 test images have no objects to find"):
        SceneSet(filled, filled, nothing, ("a",))
