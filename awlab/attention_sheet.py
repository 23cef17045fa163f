"""A sheet that shows what the attention of AW-convolutions does, layer by layer."""

from collections.abc import Sequence
from itertools import accumulate

from PIL import Image, ImageDraw

from awlab.layer_attention import MOST_LAYERS, SOURCES, LayerAttention
from awlab.lettering import FAINT, LINE, PAPER, RIGHT, write

# Pixels.
MARGIN, HEAD, ROW, GAP = 48, 186, 118, 36
NAME, SPREAD, CLASSES, SHARES = 330, 260, 440, 420
LEGEND = (0, 100, 200, 300)
"""Where the entries of the legend begin, in two lines."""
WIDTH = NAME + SPREAD + CLASSES + SHARES + 3 * GAP
PLOT = ROW - 46

COLOURS = {
    "image": "#0072b2",
    "c2": "#e69f00",
    "c1": "#cc79a7",
    "taps": "#009e73",
    "image_c2": "#f3cd84",
    "image_c1": "#e5bed5",
    "image_taps": "#8ad0b9",
    "rest": "#c9c7c1",
}
"""Of what values of A vary with (Okabe and Ito)."""


def attention_sheet(
    layers: Sequence[LayerAttention], classes: Sequence[str], *, title: str, subtitle: str
) -> Image.Image:
    """Set layers out in rows: what they share, the spread of A, A by class, what A varies with."""
    shown = layers[:MOST_LAYERS]
    sheet = Image.new("RGB", (WIDTH + 2 * MARGIN, HEAD + len(shown) * ROW + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    if len(shown) < len(layers):
        subtitle += f"; the first {len(shown)} of {len(layers)} layers are shown"
    _head(draw, title, subtitle, classes)
    for k, layer in enumerate(shown):
        top = MARGIN + HEAD + k * ROW
        x = MARGIN
        _name(draw, x, top, layer)
        x += NAME + GAP
        _spread(draw, x, top, layer)
        x += SPREAD + GAP
        colours = layer.class_colours
        strip = Image.fromarray(colours).resize((CLASSES, PLOT), Image.Resampling.NEAREST)
        sheet.paste(strip, (x, top))
        write(draw, (x, top + PLOT + 20), _followed(layer), 15, FAINT, room=CLASSES)
        x += CLASSES + GAP
        _shares(draw, x, top, layer)
    return sheet


def _head(draw: ImageDraw.ImageDraw, title: str, subtitle: str, classes: Sequence[str]) -> None:
    x, y = MARGIN, MARGIN
    write(draw, (x, y + 28), title, 34, room=WIDTH)
    write(draw, (x, y + 60), subtitle, 19, FAINT, room=WIDTH)
    draw.line([(x, y + 84), (x + WIDTH, y + 84)], LINE, 2)
    places = list(accumulate([0, NAME + GAP, SPREAD + GAP, CLASSES + GAP]))
    texts = ("AW-convolution", "values of A", f"A by class ({len(classes)} rows)", "A varies with")
    for place, text in zip(places, texts, strict=True):
        write(draw, (x + place, y + 118), text, 18)
    for k, (source, text) in enumerate(SOURCES.items()):
        left, low = x + places[3] + LEGEND[k % 4], y + 132 + 18 * (k // 4)
        draw.rectangle((left, low, left + 10, low + 10), COLOURS[source])
        write(draw, (left + 14, low + 11), text, 13, FAINT)


def _name(draw: ImageDraw.ImageDraw, x: int, top: int, layer: LayerAttention) -> None:
    write(draw, (x, top + 22), layer.layer, 21, room=NAME)
    shape = " x ".join(str(size) for size in layer.sizes.values())
    write(draw, (x, top + 46), f"A is {shape} per image", 15, FAINT, room=NAME)
    write(draw, (x, top + 68), layer.sharing, 15, FAINT, room=NAME)


def _spread(draw: ImageDraw.ImageDraw, x: int, top: int, layer: LayerAttention) -> None:
    bins = len(layer.histogram)
    peak = max(layer.histogram)
    for k, share in enumerate(layer.histogram):
        left, right = x + k * SPREAD / bins, x + (k + 1) * SPREAD / bins - 1
        if share > 0:
            draw.rectangle((left, top + PLOT * (1 - share / peak), right, top + PLOT), RIGHT)
    draw.line([(x, top + PLOT), (x + SPREAD, top + PLOT)], LINE, 1)
    write(draw, (x, top + PLOT + 20), "0", 15, FAINT)
    write(draw, (x + SPREAD, top + PLOT + 20), "1", 15, FAINT, anchor="rs")
    middle = f"mean {layer.mean:.2f}, sd {layer.sd:.2g}"
    write(draw, (x + SPREAD / 2, top + PLOT + 20), middle, 15, FAINT, anchor="ms")


def _followed(layer: LayerAttention) -> str:
    along = {"c2": "C2", "c1": "C1", "taps": "the taps"}[layer.followed]
    return (
        f"along {along}, up to {layer.class_spread:.2g} from the mean; "
        f"the class explains {100 * layer.class_share:.0f} %"
    )


def _shares(draw: ImageDraw.ImageDraw, x: int, top: int, layer: LayerAttention) -> None:
    left = float(x)
    for name, colour in COLOURS.items():
        width = SHARES * layer.variance[name]
        if width >= 1:
            draw.rectangle((left, top + 20, left + width - 1, top + 52), colour)
        left += width
    write(draw, (x, top + PLOT + 20), layer.largest, 15, FAINT, room=SHARES)
