"""A sheet of explained images that a person reads at a glance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, log

from PIL import Image, ImageDraw

from awlab.lettering import FAINT, INK, LINE, PAPER, RIGHT, WRONG, fitted, font
from awlab.pictures import SIDE, heat_colours

# Pixels.
MARGIN, GAP, SEAM, CAPTION, HEAD = 48, 32, 4, 68, 112
CELL_WIDTH, CELL_HEIGHT = 2 * SIDE + SEAM, SIDE + CAPTION
KEY = 260
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
    return set_out([_cell(pair) for pair in pairs], lambda width: head(width, title, subtitle))


def set_out(cells: Sequence[Image.Image], make_head: Callable[[int], Image.Image]) -> Image.Image:
    """Set cells of one size out in a grid.

    Args:
        cells: At least one.
        make_head: Draws what stands above them, as wide as it is told and `HEAD` pixels high.
    """
    cell_width, cell_height = cells[0].size
    columns = _columns(len(cells), (cell_width + GAP) / (cell_height + GAP))
    rows = ceil(len(cells) / columns)
    width = max(columns * (cell_width + GAP) - GAP, NARROWEST)
    height = HEAD + rows * (cell_height + GAP) - GAP
    sheet = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), PAPER)
    sheet.paste(make_head(width), (MARGIN, MARGIN))
    for k, cell in enumerate(cells):
        row, column = divmod(k, columns)
        x, y = column * (cell_width + GAP), HEAD + row * (cell_height + GAP)
        sheet.paste(cell, (MARGIN + x, MARGIN + y))
    return sheet


def _columns(count: int, aspect: float) -> int:
    """Choose the number of columns that leaves few cells empty, on a sheet of about 8:5."""

    def cost(columns: int) -> float:
        rows = ceil(count / columns)
        return abs(log(aspect * columns / rows / 1.6)) + 6 * (1 - count / (columns * rows))

    return min(range(1, count + 1), key=cost)


def head(width: int, title: str, subtitle: str) -> Image.Image:
    """Draw the top of a sheet: what it shows, and what the colours of heat maps mean."""
    top = entitled(width, title, subtitle)
    draw = ImageDraw.Draw(top)
    key = width - KEY
    ramp = Image.fromarray(heat_colours()[None]).resize((KEY, 14), Image.Resampling.BICUBIC)
    top.paste(ramp, (key, 14))
    draw.text((key, 56), "no evidence", FAINT, font(17), anchor="ls")
    draw.text((width, 56), "strongest", FAINT, font(17), anchor="rs")
    return top


def entitled(width: int, title: str, subtitle: str) -> Image.Image:
    """Draw the top of a sheet, with `KEY` pixels on the right left free for a key of colours."""
    top = Image.new("RGB", (width, HEAD), PAPER)
    draw = ImageDraw.Draw(top)
    room = width - KEY - GAP
    size = next((s for s in (34, 30, 26, 22) if draw.textlength(title, font(s)) <= room), 20)
    draw.text((0, 28), fitted(draw, title, size, room), INK, font(size), anchor="ls")
    draw.text((0, 60), fitted(draw, subtitle, 19, room), FAINT, font(19), anchor="ls")
    draw.line([(0, 84), (width, 84)], LINE, 2)
    return top


def _cell(pair: Pair) -> Image.Image:
    cell = Image.new("RGB", (CELL_WIDTH, CELL_HEIGHT), PAPER)
    for k, image in enumerate((pair.image, pair.overlay)):
        x = k * (SIDE + SEAM) + (SIDE - image.width) // 2
        cell.paste(image, (x, (SIDE - image.height) // 2))
    draw = ImageDraw.Draw(cell)
    percent = f"{100 * pair.confidence:.0f} %"
    draw.text((CELL_WIDTH, SIDE + 31), percent, INK, font(21), anchor="rs")
    room = CELL_WIDTH - draw.textlength(percent, font(21)) - 16
    left = 0
    if pair.truth is not None:
        left = 34
        right = pair.prediction == pair.truth
        disc = mark(right=right)
        cell.paste(disc, (0, SIDE + 12), disc)
        truth = fitted(draw, f"truth: {pair.truth}", 18, CELL_WIDTH - left)
        draw.text((left, SIDE + 57), truth, FAINT if right else INK, font(18), anchor="ls")
    prediction = fitted(draw, pair.prediction, 21, room - left)
    draw.text((left, SIDE + 31), prediction, INK, font(21), anchor="ls")
    return cell


@cache
def mark(*, right: bool) -> Image.Image:
    """Draw a tick or a cross in a disc, four times too large, and shrink it: smooth edges."""
    disc = Image.new("RGBA", (96, 96))
    draw = ImageDraw.Draw(disc)
    draw.ellipse((0, 0, 95, 95), RIGHT if right else WRONG)
    if right:
        draw.line([(26, 50), (42, 66), (71, 33)], "white", 12, joint="curve")
    else:
        draw.line([(31, 31), (65, 65)], "white", 12)
        draw.line([(31, 65), (65, 31)], "white", 12)
    return disc.resize((24, 24), Image.Resampling.LANCZOS)
