import pytest

from awlab.spec.data import Data
from awlab.spec.detection_data import COCO, VOC, VOC_CLASSES, DigitScenes, SceneAugmentation
from awlab.spec.errors import SpecError
from awlab.spec.load import parse


@pytest.mark.parametrize(
    ("data", "classes"),
    [
        (COCO(), 80),
        (COCO(classes=3), 3),
        (COCO(classes=("ant", "bee")), 2),
        (VOC(), 20),
        (VOC(classes=("ant",)), 1),
        (DigitScenes(), 10),
        (DigitScenes(classes=4), 4),
    ],
)
def test_classes_are_counted_without_the_background(data, classes):
    assert data.num_classes == classes
    assert (data.task, data.channels) == ("detection", 3)


def test_digit_scenes_have_one_size():
    assert DigitScenes(size=64).image_size == 64


def test_digits_are_not_mirrored_and_ssds_changes_are_vocs():
    assert DigitScenes().augmentation == SceneAugmentation(horizontal_flip=False)
    assert COCO().augmentation == SceneAugmentation()
    changes = VOC().augmentation.model_dump()
    assert all(changes.values())


def test_vocs_classes_are_in_alphabetical_order():
    assert len(VOC_CLASSES) == 20
    assert list(VOC_CLASSES) == sorted(VOC_CLASSES)


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "coco", "validation": 0.1},
        {"kind": "coco", "validation": "val2017", "train": "train2014", "test": "minival"},
        {"kind": "coco", "annotations": "{subset}/_annotations.coco.json", "images": "all"},
        {"kind": "voc", "train": ["VOC2007/train"], "validation": "VOC2007/val"},
    ],
)
def test_layouts(data):
    spec = parse(Data, data)
    for name, value in data.items():
        assert getattr(spec, name) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 0}, "classes: must be at least 1 or a list, not 0"),
        ({"classes": ["a", "b", "a"]}, "classes: must have distinct names; 'a' is there twice"),
        ({"annotations": "x.json"}, r"annotations: must contain \{subset\}, not 'x\.json'"),
        ({"images": "{x}/{subset}"}, r"images: must have no braces but those of \{subset\}, not"),
        ({"folder": "/absolute"}, "folder: must be text"),
        ({"validation": 1.0}, "validation: must be less than 1.0 or text, not 1.0"),
        ({"validation": "../x"}, r"validation: must be a number or text that matches .*'\.\./x'"),
        ({"train": "a/b"}, "train: must be text that matches"),
        ({"kind": "voc", "test": "VOC2007"}, "test: must be text that matches .*not 'VOC2007'"),
        ({"kind": "voc", "train": ["x"]}, "train.0: must be text that matches .*not 'x'"),
        ({"kind": "voc", "classes": ["a", "a"]}, "classes: must have distinct names; 'a' is"),
        ({"kind": "voc", "classes": 20}, "classes: must be a list, not 20"),
        (
            {"kind": "digit_scenes", "digit_sizes": [20, 90]},
            r"digit_sizes \(=\[20, 90\]\) must be at least 8, the smaller one first, and at most",
        ),
        ({"kind": "digit_scenes", "digit_sizes": [40, 20]}, r"digit_sizes \(=\[40, 20\]\) must"),
        ({"kind": "digit_scenes", "classes": 11}, "classes: must be at most 10, not 11"),
    ],
)
def test_impossible_data_are_refused(change, message):
    with pytest.raises(SpecError, match=message):
        parse(Data, {"kind": "coco", **change})
