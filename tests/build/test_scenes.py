import json

import pytest
import torch

from awlab.build import build_detection_data, build_scenes
from awlab.spec.data import Data, PhotoPatches
from awlab.spec.detection_data import COCO, VOC, DigitScenes, SceneAugmentation
from awlab.spec.errors import InputError
from awlab.spec.load import parse

SMALL = {"train_images": 6, "validation_images": 4, "test_images": 5, "size": 48}
SIZES = {"digit_sizes": (12, 24), "classes": 2, "most_digits": 2}


def built(spec, root, **options):
    defaults = {"batch_size": 2, "seed": 0, "workers": 0}
    return build_detection_data(spec, root=root, **{**defaults, **options})


def test_digit_scenes(tmp_path):
    data = built(DigitScenes(**SMALL, **SIZES), tmp_path, batch_size=3, seed=5)
    assert (data.train_size, data.test_size, data.num_classes) == (6, 5, 2)
    assert (data.batch_size, data.seed, data.workers) == (3, 5, 0)
    images, _ = next(iter(data.val_dataloader()))
    assert images[0].shape == (3, 48, 48)


def test_coco(small_coco):
    data = built(COCO(classes=("2", "1", "0"), validation=0.25), small_coco, workers=1)
    assert (data.train_size, data.test_size) == (9, 8)
    assert data.class_names == ("2", "1", "0")
    assert data.augment.horizontal_flip


def test_voc(small_voc):
    spec = VOC(
        classes=("0", "1", "2"),
        validation="VOC2012/trainval",
        train=("VOC2007/trainval",),
    )
    data = built(spec, small_voc)
    assert (data.train_size, data.test_size) == (12, 8)
    changes = data.augment
    assert changes.photometric_distort
    assert changes.zoom_out
    assert changes.iou_crop
    assert changes.horizontal_flip


def test_every_field_of_the_augmentation_arrives(small_coco):
    nothing = SceneAugmentation(horizontal_flip=False)
    for name in SceneAugmentation.model_fields:
        changed = nothing.model_copy(update={name: True})
        _, augment = build_scenes(COCO(classes=3, augmentation=changed), root=small_coco)
        assert vars(augment) == {**vars(augment), **dict(changed)}
        assert getattr(augment, name)


def test_boxes_may_be_clipped(small_coco):
    path = small_coco / "coco" / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [0, 0, 999, 10]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"data\.clip_boxes=true"):
        built(COCO(classes=3), small_coco)
    data = built(COCO(classes=3, clip_boxes=True), small_coco, batch_size=4)
    corners = [one["boxes"] for _, targets in data.train_dataloader() for one in targets]
    assert torch.cat(corners).max() <= 64


def test_vocs_boxes_may_be_clipped_and_difficult_objects_left_out(small_voc):
    years = small_voc / "VOCdevkit"
    path = years / "VOC2007" / "Annotations" / "trainval_000000.xml"
    text = path.read_text().replace("<xmax>", "<xmax>9", 1)
    path.write_text(text.replace("<difficult>0", "<difficult>1"))
    options = {"classes": ("0", "1", "2"), "validation": "VOC2012/trainval"}
    with pytest.raises(InputError, match=r"data\.clip_boxes=true"):
        built(VOC(**options), small_voc)
    sizes = [
        len(scenes.train.objects[0]["labels"])
        for learn in (True, False)
        for scenes, _ in [
            build_scenes(
                VOC(**options, clip_boxes=True, train_on_difficult=learn),
                root=small_voc,
            )
        ]
    ]
    assert sizes[0] > sizes[1] == 0


def test_the_split_seed_arrives(small_coco, tmp_path):
    held_out = []
    for seed in (0, 1):
        spec = COCO(classes=3, validation=0.5, split_seed=seed)
        scenes, _ = build_scenes(spec, root=small_coco)
        held_out.append(scenes.val.objects.image_ids.tolist())
    assert held_out[0] != held_out[1]
    scenes = [
        build_scenes(DigitScenes(**SMALL, **SIZES, split_seed=seed), root=tmp_path)[0].train
        for seed in (0, 1)
    ]
    assert not torch.equal(scenes[0].read(0), scenes[1].read(0))


@pytest.mark.parametrize("kind", ["coco", "voc"])
def test_missing_data_are_the_users_to_mend(tmp_path, kind):
    spec = parse(Data, {"kind": kind})
    with pytest.raises(InputError, match=r"(annotation file|list of images) .* is missing"):
        built(spec, tmp_path)


def test_what_nobody_builds_says_how():
    with pytest.raises(TypeError, match=r"nothing builds PhotoPatches .*build_scenes\.register"):
        build_scenes(PhotoPatches(), root=None)
