import pytest
import torch

from awlab.data.coco import COCOLayout, load_coco
from awlab.data.errors import DataError


def test_a_folder_of_coco_becomes_three_splits(small_coco, digit_scenes):
    scenes = load_coco(small_coco / "coco", classes=3, validation=0.25)
    assert scenes.class_names == ("0", "1", "2")
    sizes = [len(split.objects) for split in (scenes.train, scenes.val, scenes.test)]
    assert sizes == [9, 3, 8]
    ids = scenes.train.objects.image_ids.tolist() + scenes.val.objects.image_ids.tolist()
    assert sorted(ids) == list(range(12))
    assert not scenes.test.in_memory
    for index in range(8):
        assert torch.equal(scenes.test.read(index), digit_scenes.test.read(index))
        ours, theirs = scenes.test.objects[index], digit_scenes.test.objects[index]
        assert torch.equal(ours["boxes"], theirs["boxes"])
        assert torch.equal(ours["labels"], theirs["labels"])


def test_the_split_is_a_function_of_its_seed(small_coco):
    held_out = [
        load_coco(small_coco / "coco", classes=3, validation=0.5, split_seed=seed).val
        for seed in (0, 0, 1)
    ]
    first, again, other = (scenes.objects.image_ids.tolist() for scenes in held_out)
    assert first == again != other


def test_a_subset_can_be_the_validation_split(small_coco):
    scenes = load_coco(small_coco / "coco", classes=3, validation="val2017")
    assert len(scenes.train.objects) == 12
    assert scenes.val.objects.image_ids.tolist() == scenes.test.objects.image_ids.tolist()


def test_names_decide_about_labels(small_coco, digit_scenes):
    scenes = load_coco(small_coco / "coco", classes=("2", "0", "1"), validation="val2017")
    assert scenes.class_names == ("2", "0", "1")
    renamed = torch.tensor([0, 2, 3, 1])[digit_scenes.test.objects.labels]
    assert torch.equal(scenes.test.objects.labels, renamed)


def test_crowds_are_not_trained_on_but_stay_in_evaluation(small_coco, mark_crowds):
    mark_crowds(small_coco / "coco", "train2017", every=2)
    scenes = load_coco(small_coco / "coco", classes=3, validation="train2017")
    assert scenes.val.objects.iscrowd.sum() == len(scenes.val.objects.labels) // 2
    assert scenes.train.objects.iscrowd.sum() == 0
    rest = len(scenes.val.objects.labels) - len(scenes.val.objects.labels) // 2
    assert len(scenes.train.objects.labels) == rest
    for index in range(12):
        one = scenes.val.objects[index]
        kept = one["boxes"][one["iscrowd"] == 0]
        assert torch.equal(scenes.train.objects[index]["boxes"], kept)


def test_files_may_lie_elsewhere(small_coco):
    folder = small_coco / "coco"
    for subset in ("train2017", "val2017"):
        (folder / "annotations" / f"instances_{subset}.json").rename(
            folder / subset / "_annotations.coco.json"
        )
    layout = COCOLayout("{subset}/_annotations.coco.json", "{subset}")
    scenes = load_coco(folder, classes=3, layout=layout)
    assert len(scenes.test.objects) == 8


def test_other_classes_in_the_test_images_are_refused(small_coco, digit_scenes):
    from awlab.data.write_coco import write_coco

    write_coco(digit_scenes.test, small_coco / "coco", "val2017", ("0", "1", "two"))
    message = (
        r"instances_val2017\.json has other classes than train2017; only in the former: two; only"
    )
    with pytest.raises(DataError, match=message):
        load_coco(small_coco / "coco", classes=3)


def test_boxes_out_of_their_image_are_refused_or_accepted(small_coco, edit_coco):
    def stretch(content):
        content["annotations"][3]["bbox"] = [50, 50, 200, 3]

    edit_coco(small_coco / "coco", "train2017", stretch)
    message = r"instances_train2017\.json: 1 of \d+ boxes have parts outside of their image"
    with pytest.raises(DataError, match=message):
        load_coco(small_coco / "coco", classes=3)
    scenes = load_coco(small_coco / "coco", classes=3, clip_boxes=True, validation="train2017")
    assert [50, 50, 250, 53] in scenes.val.objects.boxes.tolist()
