"""Read an annotation file in the format of PASCAL VOC (Everingham et al. 2010)."""

import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from awlab.data.errors import DataError
from awlab.data.objects import Target, target


def read_voc_file(
    path: Path, labels: Mapping[str, int], *, image_id: int
) -> tuple[tuple[int, int], Target]:
    """Read which objects are where in an image.

    VOC counts pixels from 1, and both corners belong to the box: the box (1, 1, 1, 1) is one pixel.
    Here it is (0, 0, 1, 1).

    Args:
        path: The annotation file.
        labels: By name of the class.
        image_id: Of the target.

    Returns:
        Width and height of the image, and its objects; difficult ones are marked as crowds.

    Raises:
        DataError: When it is missing or damaged or has objects of another class.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise DataError(f"the annotation file {path} is missing") from None
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path} is damaged or not XML: {error}") from error
    size = int(_number(root, "size/width", path)), int(_number(root, "size/height", path))
    objects = root.findall("object")
    for one in objects:
        name = _text(one, "name", path)
        if name not in labels:
            raise DataError(
                f"{path} has an object of the class {name!r}, which is not in data.classes: "
                f"{', '.join(labels)}"
            )
    return size, target(
        [_box(one, path) for one in objects],
        [labels[_text(one, "name", path)] for one in objects],
        image_id=image_id,
        iscrowd=[int(one.findtext("difficult", "0").strip() == "1") for one in objects],
    )


def _box(one: Element, path: Path) -> list[float]:
    x1, y1, x2, y2 = (
        _number(one, f"bndbox/{side}", path) for side in ("xmin", "ymin", "xmax", "ymax")
    )
    return [x1 - 1, y1 - 1, x2, y2]


def _number(element: Element, place: str, path: Path) -> float:
    text = _text(element, place, path)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{path}: {element.tag}/{place} must be a number, not {text!r}")
    return number


def _text(element: Element, place: str, path: Path) -> str:
    text = element.findtext(place)
    if text is None:
        raise DataError(f"{path} has an element {element.tag!r} without {place}")
    return text.strip()
