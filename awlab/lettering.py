"""Texts on pictures."""

from functools import cache

from PIL import ImageDraw, ImageFont

PAPER, INK, FAINT, LINE = "#fbfaf7", "#1d1d1f", "#6e6e73", "#dcdad4"
RIGHT, WRONG = "#0072b2", "#d55e00"
"""Blue and vermilion of Okabe and Ito: told apart by every kind of colour vision."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The letters that come with Pillow, `size` pixels high."""
    return ImageFont.load_default(size)


def fitted(draw: ImageDraw.ImageDraw, text: str, size: int, room: float) -> str:
    """Cut a text that is wider than the room, pixels."""
    if draw.textlength(text, font(size)) <= room:
        return text
    while text and draw.textlength(f"{text}...", font(size)) > room:
        text = text[:-1]
    return f"{text}..."


def write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int,
    colour: str = INK, *, anchor: str = "ls", room: float | None = None,
) -> None:  # fmt: skip
    """Write one line with its anchor (left, base line) at a place, cut to the room there is."""
    shown = text if room is None else fitted(draw, text, size, room)
    draw.text(place, shown, colour, font(size), anchor=anchor)
