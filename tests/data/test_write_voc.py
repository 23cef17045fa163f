from xml.etree import ElementTree

import torch

from awlab.data.objects import Objects, target
from awlab.data.scenes import SceneArray
from awlab.data.voc_file import read_voc_file
from awlab.data.write_voc import write_voc


def test_the_files_are_those_of_voc(tmp_path):
    pixels = torch.zeros(2, 3, 20, 30, dtype=torch.uint8)
    boxes = [[0, 0, 1, 1], [3, 4, 30, 20]]
    objects = Objects.of(
        [target(boxes, [2, 1], image_id=0, iscrowd=[0, 1]), target([], [], image_id=1)]
    )
    write_voc(SceneArray(pixels, objects), tmp_path, "VOC2007/test", ("cat", "dog"))
    folder = tmp_path / "VOC2007"
    assert (folder / "ImageSets" / "Main" / "test.txt").read_text() == "test_000000\ntest_000001\n"
    assert (folder / "JPEGImages" / "test_000001.png").is_file()
    root = ElementTree.parse(folder / "Annotations" / "test_000000.xml").getroot()
    assert [one.findtext("name") for one in root.iter("object")] == ["dog", "cat"]
    corners = [[int(side.text or "") for side in box] for box in root.iter("bndbox")]
    assert corners == [[1, 1, 1, 1], [4, 5, 30, 20]]
    size, read = read_voc_file(
        folder / "Annotations" / "test_000000.xml", {"cat": 1, "dog": 2}, image_id=0
    )
    assert size == (30, 20)
    assert read["boxes"].tolist() == boxes
    assert read["labels"].tolist() == [2, 1]
    assert read["iscrowd"].tolist() == [0, 1]
