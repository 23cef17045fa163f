"""Boxes on images, and a sheet of them that a person reads at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from awlab.contact_sheet import GAP, KEY, SEAM, entitled, set_out
from awlab.lettering import FAINT, INK, PAPER, RIGHT, WRONG, fitted, font, write
from awlab.pictures import Pixels, picture

IGNORED = FAINT
"""Colour of what counts neither as right nor as wrong."""

# Pixels.
SIDE, CAPTION = 320, 44
_LINE, _LETTERS = 3, 15


@dataclass(frozen=True)
class Box:
    """A box to draw.

    Attributes:
        corners: x1, y1, x2, y2 in pixels of the image.
        label: Written at its upper edge.
        colour: Of the line and of what is behind the label.
    """

    corners: Sequence[float]
    label: str
    colour: str


@dataclass(frozen=True)
class DetectionPicture:
    """An image with what is in it, and with what was found.

    Attributes:
        truth: The image with its objects.
        found: The image with the boxes that were found.
        objects: How many objects there are.
        right: How many of them were found.
        wrong: How many boxes are wrong.
    """

    truth: Image.Image
    found: Image.Image
    objects: int
    right: int
    wrong: int


def draw_boxes(image: Pixels, boxes: Sequence[Box], side: int = SIDE) -> Image.Image:
    """Draw boxes over an image (H, W, 3), the last one on top.

    Args:
        image: Enlarged or shrunk until its longer side has `side` pixels.
        boxes: In pixels of the image as it is given.
        side: Of the result.
    """
    drawn = picture(image, side)
    draw = ImageDraw.Draw(drawn)
    scale = drawn.width / image.shape[1], drawn.height / image.shape[0]
    for box in boxes:
        left, top, right, bottom = (number * scale[k % 2] for k, number in enumerate(box.corners))
        # Lines lie on the inside, as far as the box has one.
        edges = [(left, top), (max(left, right - 1), max(top, bottom - 1))]
        draw.rectangle(edges, outline=box.colour, width=_LINE)
    for box in boxes:
        _write_label(draw, box, (box.corners[0] * scale[0], box.corners[1] * scale[1]), drawn.width)
    return drawn


def detection_sheet(
    pictures: Sequence[DetectionPicture], *, title: str, subtitle: str
) -> Image.Image:
    """Set pictures out in a grid: on the left what there is, on the right what was found.

    Found objects and right boxes are blue, missed objects and wrong boxes vermilion; crowds and
    difficult objects, which do not count, are grey.
    """
    return set_out([_cell(one) for one in pictures], lambda width: _head(width, title, subtitle))


def _write_label(
    draw: ImageDraw.ImageDraw, box: Box, place: tuple[float, float], width: float
) -> None:
    """Write a label above the upper left corner of its box, or below it where there is no room."""
    text = fitted(draw, box.label, _LETTERS, width - 6)
    left = max(0, min(place[0], width - draw.textlength(text, font(_LETTERS)) - 6))
    top = place[1] - _LETTERS - 4
    top = top if top >= 0 else place[1]
    right = left + draw.textlength(text, font(_LETTERS)) + 6
    draw.rectangle([(left, top), (right, top + _LETTERS + 4)], fill=box.colour)
    write(draw, (left + 3, top + _LETTERS), text, _LETTERS, "white")


def _head(width: int, title: str, subtitle: str) -> Image.Image:
    top = entitled(width, title, subtitle)
    draw = ImageDraw.Draw(top)
    left = width - KEY
    for k, (colour, text) in enumerate(
        ((RIGHT, "found, right"), (WRONG, "missed, wrong"), (IGNORED, "does not count"))
    ):
        y = 8 + 24 * k
        draw.rectangle([(left, y), (left + 22, y + 13)], outline=colour, width=_LINE)
        write(draw, (left + 32, y + 13), text, 17, FAINT)
    return top


def _cell(one: DetectionPicture) -> Image.Image:
    cell = Image.new("RGB", (2 * SIDE + SEAM, SIDE + CAPTION), PAPER)
    for k, image in enumerate((one.truth, one.found)):
        x = k * (SIDE + SEAM) + (SIDE - image.width) // 2
        cell.paste(image, (x, (SIDE - image.height) // 2))
    draw = ImageDraw.Draw(cell)
    objects = f"{one.right} of {one.objects} found" if one.objects else "nothing to find"
    write(draw, (0, SIDE + 30), objects, 19, INK, room=SIDE - GAP)
    wrong = f"{one.wrong} wrong" if one.wrong else "nothing wrong"
    write(draw, (SIDE + SEAM, SIDE + 30), wrong, 19, WRONG if one.wrong else FAINT)
    return cell
