"""The Grad-CAM wall as a picture: images downwards, the networks of all cells side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from awlab.contact_sheet import HEAD, head, mark
from awlab.lettering import FAINT, INK, LINE, PAPER, write
from awlab.report.wall import Picture, Wall
from awlab.statistics import Sample

# Pixels.
MARGIN, GAP, SIDE, TITLE, CAPTION = 48, 20, 184, 64, 58
COLUMN, ROW = SIDE + GAP, SIDE + CAPTION
FOOT = 112
NARROWEST = 4 * COLUMN  # of the head, so that the title has room

MEASURES = {
    "drop": ("drop", "%", 0),
    "deletion": ("deletion", "", 2),
    "insertion": ("insertion", "", 2),
}
"""Of how faithful maps are: what it is called, its unit, its decimals."""


def wall_sheet(wall: Wall, labels: Mapping[str, str], *, title: str) -> Image.Image:
    """Set out what each cell makes of the same images, and how faithful its maps are.

    Args:
        wall: What is shown.
        labels: Cell to what stands above its column.
        title: Of the picture.
    """
    columns = 1 + len(wall.cells)
    height = HEAD + TITLE + len(wall.lines) * ROW + (FOOT if wall.faithful else 0)
    width = max(columns * COLUMN - GAP, NARROWEST)
    sheet = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), PAPER)
    sheet.paste(head(width, title, _subtitle(wall)), (MARGIN, MARGIN))
    draw = ImageDraw.Draw(sheet)
    one_layer = len(set(wall.layers.values())) == 1
    for k, (name, seed) in enumerate(wall.cells.items(), 1):
        x, y = MARGIN + k * COLUMN, MARGIN + HEAD + 24
        below = f"seed {seed}" if one_layer else f"seed {seed}, {wall.layers[name]}"
        write(draw, (x, y), labels[name], 19, room=SIDE)
        write(draw, (x, y + 24), below, 15, FAINT, room=SIDE)
    for k, line in enumerate(wall.lines):
        top = MARGIN + HEAD + TITLE + k * ROW
        _paste(sheet, line.image, MARGIN, top)
        truth = str(line.source) if line.truth is None else line.truth
        write(draw, (MARGIN, top + SIDE + 26), truth, 18, room=SIDE)
        for j, picture in enumerate(line.pictures, 1):
            _picture(sheet, draw, picture, (MARGIN + j * COLUMN, top))
    if wall.faithful:
        _faithful(draw, wall, MARGIN + height - FOOT)
    return sheet


def measures(samples: Mapping[str, Sample]) -> Sequence[str]:
    """How faithful maps are, in words: means over the images, with their intervals."""
    texts: list[str] = []
    for name, (word, unit, decimals) in MEASURES.items():
        if (sample := samples.get(name)) and sample.mean is not None:
            text = f"{word} {sample.mean:.{decimals}f}"
            if sample.interval is not None:
                half = (sample.interval[1] - sample.interval[0]) / 2
                text += f" \N{PLUS-MINUS SIGN} {half:.{decimals}f}"
            texts.append(f"{text} {unit}".rstrip())
    return texts


def _subtitle(wall: Wall) -> str:
    layers = set(wall.layers.values())
    at = min(layers) if len(layers) == 1 else "the last layer with maps of each network"
    text = f"Grad-CAM at {at}, {len(wall.lines)} images"
    cells, images = wall.left_out
    text += f"; {cells} more cells have no room" if cells else ""
    return text + (f"; {images} more images have no room" if images else "")


def _picture(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, picture: Picture | None, place: tuple[int, int]
) -> None:
    x, y = place
    if picture is None:
        write(draw, (x, y + SIDE // 2), "not explained", 16, FAINT)
        return
    _paste(sheet, picture.overlay, x, y)
    left = x
    if picture.right is not None:
        disc = mark(right=picture.right)
        sheet.paste(disc, (x, y + SIDE + 8), disc)
        left = x + 32
    write(draw, (left, y + SIDE + 26), picture.prediction, 17, INK, room=x + SIDE - 52 - left)
    write(draw, (x + SIDE, y + SIDE + 26), f"{picture.confidence:.0f} %", 17, FAINT, anchor="rs")


def _paste(sheet: Image.Image, file: Path, x: int, y: int) -> None:
    try:
        with Image.open(file) as picture:
            picture = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError):  # What PIL raises of files that are no pictures.
        write(ImageDraw.Draw(sheet), (x, y + SIDE // 2), "no picture", 16, FAINT)
        return
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    sheet.paste(picture, (x + (SIDE - picture.width) // 2, y + (SIDE - picture.height) // 2))


def _faithful(draw: ImageDraw.ImageDraw, wall: Wall, top: int) -> None:
    right = MARGIN + (1 + len(wall.cells)) * COLUMN - GAP
    draw.line([(MARGIN, top), (right, top)], LINE, 2)
    write(draw, (MARGIN, top + 30), "how faithful", 17, room=SIDE)
    write(draw, (MARGIN, top + 56), "mean over the images", 15, FAINT, room=SIDE)
    write(draw, (MARGIN, top + 82), "and its 95 % interval", 15, FAINT, room=SIDE)
    for k, name in enumerate(wall.cells, 1):
        for j, text in enumerate(measures(wall.faithful.get(name, {}))):
            write(draw, (MARGIN + k * COLUMN, top + 30 + 26 * j), text, 15, room=SIDE)
