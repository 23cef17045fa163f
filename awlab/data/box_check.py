"""Boxes that cannot be right."""

import os

import torch

from awlab.data.errors import DataError
from awlab.data.scenes import SceneFiles

_ROUNDING = 1.0
"""Pixels that a box may reach over the border of its image: annotation tools round."""


def check_boxes(scenes: SceneFiles, source: object) -> None:
    """Make sure that boxes have an area and lie in their images.

    Args:
        scenes: Images with boxes.
        source: Where they come from, for the message.

    Raises:
        DataError: With the number of wrong boxes, and the first of them.
    """
    objects = scenes.objects
    images = torch.arange(len(objects)).repeat_interleave(objects.first.diff())
    borders = scenes.sizes[images] + _ROUNDING
    low, high = objects.boxes[:, :2], objects.boxes[:, 2:]
    empty = (high <= low).any(1)
    outside = (low < -_ROUNDING).any(1) | (high > borders).any(1)
    for wrong, what in ((empty, "no area"), (outside, "parts outside of their image")):
        if wrong.any():
            first = int(wrong.nonzero()[0])
            image = int(images[first])
            width, height = scenes.sizes[image].tolist()
            corners = ", ".join(f"{number:g}" for number in objects.boxes[first].tolist())
            raise DataError(
                f"{source}: {int(wrong.sum())} of {len(wrong)} boxes have {what}, first "
                f"[{corners}] (x1, y1, x2, y2) in {os.fsdecode(scenes.paths[image])} "
                f"({width} x {height}). Mend them, or set data.clip_boxes=true: then boxes are cut "
                "at the border of their image for training, and those without area left out"
            )
