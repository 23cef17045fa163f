"""Write images and boxes in the layout of PASCAL VOC."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from PIL import Image

from awlab.data.objects import Target
from awlab.data.scenes import Scenes, as_picture


def write_voc(scenes: Scenes, folder: Path, subset: str, class_names: Sequence[str]) -> None:
    """Write `YEAR/Annotations/*.xml`, `YEAR/JPEGImages/*.png`, `YEAR/ImageSets/Main/SET.txt`.

    Args:
        scenes: What is written; boxes are rounded to whole pixels, and crowds become difficult.
        folder: Of the set.
        subset: Year and set, such as `VOC2007/trainval`.
        class_names: In the order of the labels.
    """
    year, _, image_set = subset.partition("/")
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / year / part).mkdir(parents=True, exist_ok=True)
    names = []
    for index in range(len(scenes.objects)):
        name = f"{image_set}_{index:06d}"
        picture = as_picture(scenes.read(index))
        picture.save(folder / year / "JPEGImages" / f"{name}.png")
        root = _annotation(f"{name}.png", picture, scenes.objects[index], class_names)
        tree = ElementTree.ElementTree(root)
        ElementTree.indent(tree)
        tree.write(folder / year / "Annotations" / f"{name}.xml")
        names.append(name)
    listing = folder / year / "ImageSets" / "Main" / f"{image_set}.txt"
    listing.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _annotation(
    file: str, picture: Image.Image, one: Target, class_names: Sequence[str]
) -> Element:
    root = Element("annotation")
    SubElement(root, "filename").text = file
    _add(SubElement(root, "size"), width=picture.width, height=picture.height, depth=3)
    for box, label, crowd in zip(
        one["boxes"].round().int().tolist(),
        one["labels"].tolist(),
        one["iscrowd"].tolist(),
        strict=True,
    ):
        left, top, right, bottom = box
        element = SubElement(root, "object")
        _add(element, name=class_names[label - 1], difficult=crowd)
        # Pixels are counted from 1, and both corners belong to the box.
        _add(SubElement(element, "bndbox"), xmin=left + 1, ymin=top + 1, xmax=right, ymax=bottom)
    return root


def _add(element: Element, **children: object) -> None:
    for tag, value in children.items():
        SubElement(element, tag).text = str(value)
