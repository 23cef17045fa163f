"""A sheet of explained images that a person reads at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, log

from PIL import Image, ImageDraw, ImageFont

from awlab.pictures import SIDE, heat_colours

PAPER, INK, FAINT, LINE = "#fbfaf7", "#1d1d1f", "#6e6e73", "#dcdad4"
RIGHT, WRONG = "#0072b2", "#d55e00"
"""Blue and vermilion of Okabe and Ito: told apart by every kind of colour vision."""

# Pixels.
MARGIN, GAP, SEAM, CAPTION, HEAD = 48, 32, 4, 68, 112
CELL_WIDTH, CELL_HEIGHT = 2 * SIDE + SEAM, SIDE + CAPTION
NARROWEST = 2 * CELL_WIDTH + GAP  # of the head, so that the title has room


@dataclass(frozen=True)
class Pair:
    """An image, the evidence in it, and what the network made of it."""

    image: Image.Image
    overlay: Image.Image
    prediction: str
    truth: str | None
    """None for an image without a label."""
    confidence: float
    """Probability of the predicted class, 0 to 1."""


def contact_sheet(pairs: Sequence[Pair], *, title: str, subtitle: str) -> Image.Image:
    """Set pairs out in a grid, each with its prediction, truth and confidence.

    A right prediction has a blue tick, a wrong one a vermilion cross.
    """
    columns = _columns(len(pairs), (CELL_WIDTH + GAP) / (CELL_HEIGHT + GAP))
    rows = ceil(len(pairs) / columns)
    width = max(columns * (CELL_WIDTH + GAP) - GAP, NARROWEST)
    height = HEAD + rows * (CELL_HEIGHT + GAP) - GAP
    sheet = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), PAPER)
    sheet.paste(_head(width, title, subtitle), (MARGIN, MARGIN))
    for k, pair in enumerate(pairs):
        row, column = divmod(k, columns)
        x, y = column * (CELL_WIDTH + GAP), HEAD + row * (CELL_HEIGHT + GAP)
        sheet.paste(_cell(pair), (MARGIN + x, MARGIN + y))
    return sheet


def _columns(count: int, aspect: float) -> int:
    """Choose the number of columns that leaves few cells empty, on a sheet of about 8:5."""

    def cost(columns: int) -> float:
        rows = ceil(count / columns)
        return abs(log(aspect * columns / rows / 1.6)) + 6 * (1 - count / (columns * rows))

    return min(range(1, count + 1), key=cost)


def _head(width: int, title: str, subtitle: str) -> Image.Image:
    head = Image.new("RGB", (width, HEAD), PAPER)
    draw = ImageDraw.Draw(head)
    key = width - 260
    room = key - GAP
    size = next((s for s in (34, 30, 26, 22) if draw.textlength(title, _font(s)) <= room), 20)
    draw.text((0, 28), _fitted(draw, title, size, room), INK, _font(size), anchor="ls")
    draw.text((0, 60), _fitted(draw, subtitle, 19, room), FAINT, _font(19), anchor="ls")
    ramp = Image.fromarray(heat_colours()[None]).resize((260, 14), Image.Resampling.BICUBIC)
    head.paste(ramp, (key, 14))
    draw.text((key, 56), "no evidence", FAINT, _font(17), anchor="ls")
    draw.text((width, 56), "strongest", FAINT, _font(17), anchor="rs")
    draw.line([(0, 84), (width, 84)], LINE, 2)
    return head


def _cell(pair: Pair) -> Image.Image:
    cell = Image.new("RGB", (CELL_WIDTH, CELL_HEIGHT), PAPER)
    for k, image in enumerate((pair.image, pair.overlay)):
        x = k * (SIDE + SEAM) + (SIDE - image.width) // 2
        cell.paste(image, (x, (SIDE - image.height) // 2))
    draw = ImageDraw.Draw(cell)
    percent = f"{100 * pair.confidence:.0f} %"
    draw.text((CELL_WIDTH, SIDE + 31), percent, INK, _font(21), anchor="rs")
    room = CELL_WIDTH - draw.textlength(percent, _font(21)) - 16
    left = 0
    if pair.truth is not None:
        left = 34
        right = pair.prediction == pair.truth
        mark = _mark(right=right)
        cell.paste(mark, (0, SIDE + 12), mark)
        truth = _fitted(draw, f"truth: {pair.truth}", 18, CELL_WIDTH - left)
        draw.text((left, SIDE + 57), truth, FAINT if right else INK, _font(18), anchor="ls")
    prediction = _fitted(draw, pair.prediction, 21, room - left)
    draw.text((left, SIDE + 31), prediction, INK, _font(21), anchor="ls")
    return cell


@cache
def _mark(*, right: bool) -> Image.Image:
    """Draw a tick or a cross in a disc, four times too large, and shrink it: smooth edges."""
    mark = Image.new("RGBA", (96, 96))
    draw = ImageDraw.Draw(mark)
    draw.ellipse((0, 0, 95, 95), RIGHT if right else WRONG)
    if right:
        draw.line([(26, 50), (42, 66), (71, 33)], "white", 12, joint="curve")
    else:
        draw.line([(31, 31), (65, 65)], "white", 12)
        draw.line([(31, 65), (65, 31)], "white", 12)
    return mark.resize((24, 24), Image.Resampling.LANCZOS)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitted(draw: ImageDraw.ImageDraw, text: str, size: int, room: float) -> str:
    """Cut a text that is wider than the room."""
    if draw.textlength(text, _font(size)) <= room:
        return text
    while text and draw.textlength(f"{text}...", _font(size)) > room:
        text = text[:-1]
    return f"{text}..."
