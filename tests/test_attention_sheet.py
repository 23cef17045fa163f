from dataclasses import replace

from PIL import Image, ImageColor

from awlab.attention_sheet import (
    CLASSES,
    COLOURS,
    GAP,
    HEAD,
    MARGIN,
    NAME,
    ROW,
    SHARES,
    SPREAD,
    WIDTH,
    attention_sheet,
)
from awlab.layer_attention import ABOVE, BELOW, SOURCES
from awlab.lettering import RIGHT
from tests.test_layer_attention import LAYER


def draw(*layers):
    return attention_sheet(layers, ["ant", "bee"], title="tiny", subtitle="two images")


def colours(sheet: Image.Image, left: int, width: int) -> dict[tuple[int, ...], int]:
    """Pixels of each colour in a column of the first row."""
    top = MARGIN + HEAD
    found = sheet.crop((MARGIN + left, top, MARGIN + left + width, top + ROW)).getcolors(1 << 24)
    assert found is not None
    return {colour: count for count, colour in found if isinstance(colour, tuple)}


def test_every_layer_has_a_row():
    one, three = draw(LAYER), draw(LAYER, LAYER, LAYER)
    assert one.size == (WIDTH + 2 * MARGIN, HEAD + ROW + 2 * MARGIN)
    assert three.height - one.height == 2 * ROW


def test_bars_are_as_long_as_what_they_say():
    found = colours(draw(LAYER), WIDTH - SHARES, SHARES)
    pixels = {name: found.get(ImageColor.getrgb(colour), 0) for name, colour in COLOURS.items()}
    assert pixels["c1"] == pixels["image_c1"] == 0
    for name in ("image", "taps", "image_c2", "rest"):
        expected = LAYER.variance[name] / LAYER.variance["c2"]
        assert abs(pixels[name] / pixels["c2"] - expected) < 0.02, name
    assert COLOURS.keys() == SOURCES.keys()


def test_classes_above_and_below_the_mean_are_seen():
    found = colours(draw(LAYER), NAME + SPREAD + 2 * GAP, CLASSES)
    assert found[ABOVE] == found[BELOW] > 1000


def test_the_spread_has_its_histogram():
    narrow = replace(LAYER, histogram=[1.0] + [0.0] * 39)
    wide = replace(LAYER, histogram=[1 / 40] * 40)
    of_narrow, of_wide = (
        colours(draw(layer), NAME + GAP, SPREAD)[ImageColor.getrgb(RIGHT)]
        for layer in (narrow, wide)
    )
    assert of_wide > 20 * of_narrow > 0


def test_of_a_deep_network_the_first_layers_are_shown():
    assert draw(*[LAYER] * 30).size == draw(*[LAYER] * 24).size
