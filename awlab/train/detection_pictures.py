"""Pictures of what a detector finds, beside what there is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from awlab.data.detection import DetectionData
from awlab.data.objects import Prediction, Target
from awlab.detection_sheet import IGNORED, Box, DetectionPicture, detection_sheet, draw_boxes
from awlab.gradcam import evaluating
from awlab.lettering import RIGHT, WRONG
from awlab.record.run_directory import write_atomically
from awlab.train.voc_metric import judge

SHEET = "contact_sheet.png"
"""File with all images, beside their own files."""
LIST = "detections.json"
"""File that says what was found in each image."""
THRESHOLD = 0.5
"""Confidence from which a box is drawn."""
IMAGES_AT_ONCE = 4
"""Bounds the memory that it takes."""


@dataclass(frozen=True)
class Detection:
    """One image in which objects were looked for.

    Attributes:
        source: Its position in the test set.
        truth: Picture of its objects.
        found: Picture of the boxes that were found.
        objects: How many objects there are.
        right: How many of them were found.
        wrong: How many boxes are wrong.
        boxes: Label, confidence and corners (pixels of the image) of each box that is drawn.
    """

    source: int
    truth: Path
    found: Path
    objects: int
    right: int
    wrong: int
    boxes: list[dict[str, Any]]


def draw(
    images: Sequence[Tensor],
    targets: Sequence[Target],
    predictions: Sequence[Prediction],
    class_names: Sequence[str],
    *,
    threshold: float = THRESHOLD,
) -> list[DetectionPicture]:
    """Draw objects and boxes on images.

    Args:
        images: Float (3, H, W) in [0, 1], each of its own size.
        targets: What is in them.
        predictions: What was found.
        class_names: Of labels 1, 2, ...
        threshold: Confidence from which a box is drawn and counts.
    """
    return [
        _draw(image, one, _confident(found, threshold), class_names)
        for image, one, found in zip(images, targets, predictions, strict=True)
    ]


def write_detections(
    network: nn.Module,
    data: DetectionData,
    directory: Path,
    indices: Sequence[int],
    *,
    title: str,
    threshold: float = THRESHOLD,
) -> list[Detection]:
    """Look for objects in test images and write pictures, a contact sheet and a list.

    They take the place of those of before.

    Args:
        network: Maps a list of images to predictions.
        data: Has the test images.
        directory: Takes the files.
        indices: Positions in the test set; `evenly` chooses good ones.
        title: Of the contact sheet.
        threshold: Confidence from which a box is drawn and counts.
    """
    device = next(network.parameters()).device
    images, targets = data.test_images(indices)
    predictions: list[Prediction] = []
    with evaluating(network), torch.no_grad():
        for at in range(0, len(images), IMAGES_AT_ONCE):
            some = [image.to(device) for image in images[at : at + IMAGES_AT_ONCE]]
            predictions += [_on_cpu(one) for one in network(some)]
    drawn = draw(images, targets, predictions, data.class_names, threshold=threshold)
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("[0-9]*-*.png"):
        old.unlink()
    subtitle = _subtitle(drawn, threshold)
    detection_sheet(drawn, title=title, subtitle=subtitle).save(directory / SHEET)
    detections = [
        _save(one, source, found, data.class_names, directory / f"{number:03d}")
        for number, (one, source, found) in enumerate(
            zip(drawn, indices, (_confident(p, threshold) for p in predictions), strict=True)
        )
    ]
    _write_list(detections, threshold, directory / LIST)
    return detections


def evenly(count: int, of: int) -> list[int]:
    """Choose `count` positions of 0 ... `of` - 1 at equal distances, the same ones every time."""
    return sorted({k * of // count for k in range(count)})


def _draw(
    image: Tensor, one: Target, found: Prediction, class_names: Sequence[str]
) -> DetectionPicture:
    pixels = (255 * image).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    object_colours, box_colours = _colours(one, found)
    names = [class_names[int(label) - 1] for label in one["labels"]]
    labels = [
        f"{class_names[int(label) - 1]} {score:.2f}"
        for label, score in zip(found["labels"], found["scores"], strict=True)
    ]
    truth = map(Box, one["boxes"].tolist(), names, object_colours)
    boxes = list(map(Box, found["boxes"].tolist(), labels, box_colours))
    return DetectionPicture(
        truth=draw_boxes(pixels, list(truth)),
        # The most confident one on top.
        found=draw_boxes(pixels, boxes[::-1]),
        objects=int((one["iscrowd"] == 0).sum()),
        right=object_colours.count(RIGHT),
        wrong=box_colours.count(WRONG),
    )


def _colours(one: Target, found: Prediction) -> tuple[list[str], list[str]]:
    """Of each object and of each box, by VOC's rules."""
    crowd = one["iscrowd"] == 1
    objects = [IGNORED if ignored else WRONG for ignored in crowd.tolist()]
    boxes = [IGNORED] * len(found["labels"])
    for label in found["labels"].unique().tolist():
        ours = (found["labels"] == label).nonzero().flatten()
        theirs = (one["labels"] == label).nonzero().flatten()
        verdicts = judge(found["boxes"][ours], one["boxes"][theirs], difficult=crowd[theirs])
        for k in theirs[verdicts.found].tolist():
            objects[k] = RIGHT
        for k in ours[verdicts.right].tolist():
            boxes[k] = RIGHT
        for k in ours[verdicts.wrong].tolist():
            boxes[k] = WRONG
    return objects, boxes


def _on_cpu(one: Prediction) -> Prediction:
    return {
        "boxes": one["boxes"].detach().cpu(),
        "labels": one["labels"].cpu(),
        "scores": one["scores"].detach().cpu(),
    }


def _confident(one: Prediction, threshold: float) -> Prediction:
    """Keep the boxes of some confidence, the most confident first."""
    order = one["scores"].argsort(descending=True, stable=True)
    order = order[one["scores"][order] >= threshold]
    return {
        "boxes": one["boxes"][order],
        "labels": one["labels"][order],
        "scores": one["scores"][order],
    }


def _subtitle(drawn: Sequence[DetectionPicture], threshold: float) -> str:
    objects, right, wrong = (
        sum(getattr(one, name) for one in drawn) for name in ("objects", "right", "wrong")
    )
    return (
        f"{len(drawn)} test images: {right} of {objects} objects found, {wrong} boxes wrong, at a "
        f"confidence of {threshold:g} or more"
    )


def _save(
    one: DetectionPicture, source: int, found: Prediction, class_names: Sequence[str], stem: Path
) -> Detection:
    truth, boxes = (stem.with_name(f"{stem.name}-{what}.png") for what in ("truth", "found"))
    one.truth.save(truth)
    one.found.save(boxes)
    rows = [
        {"label": class_names[label - 1], "confidence": score, "corners": corners}
        for label, score, corners in zip(
            found["labels"].tolist(),
            found["scores"].tolist(),
            found["boxes"].tolist(),
            strict=True,
        )
    ]
    return Detection(source, truth, boxes, one.objects, one.right, one.wrong, rows)


def _write_list(detections: Sequence[Detection], threshold: float, path: Path) -> None:
    rows = [vars(one) | {"truth": one.truth.name, "found": one.found.name} for one in detections]
    content = {"threshold": threshold, "images": rows}
    write_atomically(path, json.dumps(content, indent=2) + "\n")
