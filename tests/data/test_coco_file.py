from typing import Any

import pytest

from awlab.data.coco_file import read_coco_file
from awlab.data.errors import DataError


@pytest.fixture
def folder(small_coco):
    return small_coco / "coco"


def read(folder, classes: Any = 3, subset="train2017"):
    path = folder / "annotations" / f"instances_{subset}.json"
    return read_coco_file(path, folder / subset, classes)


def test_labels_count_from_one_without_gaps(folder, digit_scenes):
    scenes, names = read(folder, subset="val2017")
    assert names == ("0", "1", "2")
    assert scenes.objects.labels.tolist() == digit_scenes.test.objects.labels.tolist()


def test_labels_are_in_the_order_of_ids_not_of_the_file(folder, edit_coco, digit_scenes):
    edit_coco(folder, "val2017", lambda content: content["categories"].reverse())
    scenes, names = read(folder, subset="val2017")
    assert names == ("0", "1", "2")
    assert scenes.objects.labels.tolist() == digit_scenes.test.objects.labels.tolist()


def test_images_without_boxes_stay(folder, digit_scenes):
    counts = read(folder, subset="val2017")[0].objects.first.diff().tolist()
    assert counts == digit_scenes.test.objects.first.diff().tolist()
    assert 0 in counts


def test_area_and_crowd_may_be_missing(folder, edit_coco):
    def strip(content):
        for row in content["annotations"]:
            del row["area"], row["iscrowd"]

    edit_coco(folder, "train2017", strip)
    objects = read(folder)[0].objects
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
    assert objects.area.tolist() == sides.prod(1).tolist()
    assert objects.iscrowd.sum() == 0


def test_missing_files_are_named(folder):
    message = r"the annotation file .*instances_test2017\.json is missing"
    with pytest.raises(DataError, match=message):
        read_coco_file(folder / "annotations" / "instances_test2017.json", folder, 3)
    (folder / "train2017" / f"{3:012d}.png").unlink()
    (folder / "train2017" / f"{5:012d}.png").unlink()
    message = r"train2017 lacks 2 of the 12 images in .*json: 0+3\.png, 0+5\.png$"
    with pytest.raises(DataError, match=message):
        read(folder)
    path = folder / "annotations" / "instances_train2017.json"
    with pytest.raises(DataError, match=r"the folder of images .*nowhere is missing"):
        read_coco_file(path, folder / "nowhere", 3)


def test_images_may_lie_in_folders_below(folder, edit_coco):
    def move(content):
        for row in content["images"]:
            row["file_name"] = f"below/{row['file_name']}"

    (folder / "train2017").rename(folder / "below")
    (folder / "train2017").mkdir()
    (folder / "below").rename(folder / "train2017" / "below")
    edit_coco(folder, "train2017", move)
    scenes, _ = read(folder)
    assert scenes.read(0).shape == (3, 64, 64)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is damaged or not JSON"),
        ('{"images": [', "is damaged or not JSON"),
        ("[" * 100_000, "is damaged or not JSON"),
        ("[1]", "must hold a mapping, not a list"),
        ("{}", "has no list 'categories'; is it an annotation file of COCO"),
    ],
)
def test_damaged_files_are_named(folder, content, message):
    (folder / "annotations" / "instances_train2017.json").write_text(content)
    with pytest.raises(DataError, match=rf"instances_train2017\.json {message}"):
        read(folder)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("images", {"id": "one"}, r"images\[2\] needs 'id', of type int; it says 'one'"),
        ("images", {"width": None}, r"images\[2\] needs 'width', of type int; it says None"),
        ("images", {"id": 0}, "has two images of one id"),
        ("categories", {"name": 3}, r"categories\[2\] needs 'name', of type str; it says 3"),
        ("categories", {"name": "0"}, "has two categories of one id or name"),
        ("categories", {"id": 2}, "has two categories of one id or name"),
        ("annotations", {"bbox": "x"}, r"annotations\[2\] needs 'bbox', of type list"),
        ("annotations", {"image_id": 99}, r"\(id 3\) is of an image, 99, that is not in 'images'"),
        ("annotations", {"category_id": 1}, r"\(id 3\) is of a category, 1, that is not in 'cat"),
        ("annotations", {"bbox": [1, 2, 3]}, r"has the bbox \[1, 2, 3\]; it must be 4 numbers"),
        ("annotations", {"bbox": [1, 2, 3, None]}, r"\(id 3\) has the bbox \[1, 2, 3, None\]"),
        ("annotations", {"bbox": [0, 0, 1, 1e999]}, r"has the bbox \[0, 0, 1, inf\]"),
        ("annotations", {"area": "big"}, r"\(id 3\) has an area or iscrowd that is no number"),
    ],
)
def test_wrong_rows_are_named(folder, edit_coco, section, change, message):
    path = edit_coco(folder, "train2017", lambda content: content[section][2].update(change))
    with pytest.raises(DataError, match=message) as caught:
        read(folder)
    assert str(path) in str(caught.value)


def test_a_file_without_images_is_refused(folder, edit_coco):
    edit_coco(folder, "train2017", lambda content: content.update(images=[], annotations=[]))
    with pytest.raises(DataError, match=r"instances_train2017\.json has no images"):
        read(folder)


def test_other_classes_are_refused(folder):
    message = r"instances_train2017\.json has 3 classes, data\.classes is 80: 0, 1, 2"
    with pytest.raises(DataError, match=message):
        read(folder, 80)
    message = r"has other classes than data\.classes; only in the former: 2; only in the latter: x"
    with pytest.raises(DataError, match=message):
        read(folder, ("0", "1", "x"))
