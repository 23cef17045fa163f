import json

import torch
from pycocotools.coco import COCO

from awlab.data.coco_file import read_coco_file
from awlab.data.objects import Objects, target
from awlab.data.scenes import SceneArray
from awlab.data.write_coco import write_coco


def crowded():
    pixels = torch.randint(0, 256, (3, 3, 20, 30), dtype=torch.uint8)
    boxes = [[0.5, 1.25, 10, 12], [20, 0, 30, 20]]
    objects = [
        target(boxes, [2, 1], image_id=4, area=[50, 33], iscrowd=[0, 1]),
        target([], [], image_id=7),
        target([[3, 4, 5, 6]], [3], image_id=9),
    ]
    return SceneArray(pixels, Objects.of(objects))


def test_what_is_written_is_read_back(tmp_path):
    scenes = crowded()
    write_coco(scenes, tmp_path, "some", ("a", "b", "c"))
    path = tmp_path / "annotations" / "instances_some.json"
    read, names = read_coco_file(path, tmp_path / "some", 3)
    assert names == ("a", "b", "c")
    for index in range(3):
        assert torch.equal(read.read(index), scenes.read(index))
        ours, theirs = read.objects[index], scenes.objects[index]
        for name in ("boxes", "labels", "area", "iscrowd"):
            assert torch.equal(ours[name], theirs[name]), name
        assert ours["image_id"] == theirs["image_id"]


def test_the_authors_code_reads_it(tmp_path, capsys):
    write_coco(crowded(), tmp_path, "some", ("a", "b", "c"), category_ids=(1, 5, 90))
    theirs = COCO(str(tmp_path / "annotations" / "instances_some.json"))
    assert theirs.getCatIds() == [1, 5, 90]
    assert theirs.getImgIds() == [4, 7, 9]
    assert theirs.getAnnIds(imgIds=[7]) == []
    (crowd,) = theirs.loadAnns(theirs.getAnnIds(imgIds=[4], iscrowd=True))
    assert (crowd["bbox"], crowd["category_id"], crowd["area"]) == ([20, 0, 10, 20], 1, 33)
    capsys.readouterr()


def test_existing_subsets_stay(tmp_path):
    for subset in ("one", "two"):
        write_coco(crowded(), tmp_path, subset, ("a", "b", "c"))
    for subset in ("one", "two"):
        content = json.loads((tmp_path / "annotations" / f"instances_{subset}.json").read_text())
        assert len(content["images"]) == 3
