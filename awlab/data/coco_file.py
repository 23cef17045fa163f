"""Read an annotation file in the format of COCO (Lin et al. 2014)."""

import json
import math
import os
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from awlab.data.class_names import settle_class_names, some
from awlab.data.errors import DataError
from awlab.data.objects import Objects, Target, target
from awlab.data.scenes import SceneFiles

Row = dict[str, Any]


def read_coco_file(
    path: Path,
    images: Path,
    classes: int | Sequence[str],
    reference: object = "data.classes",
) -> tuple[SceneFiles, tuple[str, ...]]:
    """Read which objects are where in which images.

    Category ids may have gaps: labels 1, 2, ... are given in their order, or in that of `classes`.

    Args:
        path: The annotation file.
        images: Folder of the images.
        classes: How many, or their names.
        reference: What tells which classes they are, for the message.

    Returns:
        The images and the names of the classes.

    Raises:
        DataError: When files are missing, the annotation file is damaged, or its classes are
            others.
    """
    content = _content(path)
    names_by_id = _categories(content, path)
    found = [names_by_id[number] for number in sorted(names_by_id)]
    names = settle_class_names(found, classes, path, reference)
    labels = {name: label for label, name in enumerate(names, start=1)}
    fields = {"id": int, "file_name": str, "width": int, "height": int}
    rows = list(_rows(content, "images", fields, path))
    if not rows:
        raise DataError(f"{path} has no images")
    by_image = _annotations(content, [row["id"] for row in rows], names_by_id, path)
    targets = [_target(row["id"], by_image[row["id"]], names_by_id, labels) for row in rows]
    files = [row["file_name"] for row in rows]
    _check_files(files, images, path)
    sizes = [(row["width"], row["height"]) for row in rows]
    scenes = SceneFiles.of([str(images / file) for file in files], sizes, Objects.of(targets))
    return scenes, names


def _content(path: Path) -> Row:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"the annotation file {path} is missing; its place is told by runtime.data_root, "
            "data.folder and data.annotations"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged or not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold a mapping, not a {type(content).__name__}")
    return content


def _rows(content: Row, section: str, fields: Mapping[str, type], path: Path) -> Iterator[Row]:
    """The rows of a section, each of which has some fields of some types."""
    rows = content.get(section)
    if not isinstance(rows, list):
        raise DataError(f"{path} has no list {section!r}; is it an annotation file of COCO?")
    for number, row in enumerate(rows):
        for field, kind in fields.items():
            value = row.get(field) if isinstance(row, dict) else None
            if not isinstance(value, kind):
                raise DataError(
                    f"{path}: {section}[{number}] needs {field!r}, of type {kind.__name__}; it "
                    f"says {reprlib.repr(value)}"
                )
        yield row


def _categories(content: Row, path: Path) -> dict[int, str]:
    fields = {"id": int, "name": str}
    categories = {row["id"]: row["name"] for row in _rows(content, "categories", fields, path)}
    if len(set(categories.values())) < len(content["categories"]):
        raise DataError(f"{path} has two categories of one id or name")
    return categories


def _annotations(
    content: Row, images: Sequence[int], names: dict[int, str], path: Path
) -> dict[int, list[Row]]:
    """Annotations by the id of their image."""
    by_image: dict[int, list[Row]] = {image: [] for image in images}
    if len(by_image) < len(images):
        raise DataError(f"{path} has two images of one id")
    fields = {"image_id": int, "category_id": int, "bbox": list}
    for number, row in enumerate(_rows(content, "annotations", fields, path)):
        where = f"{path}: annotations[{number}] (id {row.get('id')})"
        if row["image_id"] not in by_image:
            raise DataError(f"{where} is of an image, {row['image_id']}, that is not in 'images'")
        if row["category_id"] not in names:
            raise DataError(
                f"{where} is of a category, {row['category_id']}, that is not in 'categories'"
            )
        if not _are_numbers(row["bbox"]) or len(row["bbox"]) != 4:
            raise DataError(
                f"{where} has the bbox {reprlib.repr(row['bbox'])}; it must be 4 numbers: x, y, "
                "width, height"
            )
        if not _are_numbers([row.get("area", 0), row.get("iscrowd", 0)]):
            raise DataError(f"{where} has an area or iscrowd that is no number")
        by_image[row["image_id"]].append(row)
    return by_image


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def _target(image: int, rows: list[Row], names: dict[int, str], labels: dict[str, int]) -> Target:
    boxes = [row["bbox"] for row in rows]
    return target(
        [[x, y, x + width, y + height] for x, y, width, height in boxes],
        [labels[names[row["category_id"]]] for row in rows],
        image_id=image,
        area=[row.get("area", row["bbox"][2] * row["bbox"][3]) for row in rows],
        iscrowd=[int(row.get("iscrowd", 0) != 0) for row in rows],
    )


def _check_files(files: Sequence[str], folder: Path, source: Path) -> None:
    if not folder.is_dir():
        raise DataError(
            f"the folder of images {folder} is missing; its place is told by runtime.data_root, "
            "data.folder and data.images"
        )
    # To ask for each of a hundred thousand files takes long on a network file system.
    there = set(os.listdir(folder))  # noqa: PTH208
    missing = [file for file in files if file not in there and not (folder / file).is_file()]
    if missing:
        raise DataError(
            f"{folder} lacks {len(missing)} of the {len(files)} images in {source}: {some(missing)}"
        )
