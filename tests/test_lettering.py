from PIL import Image, ImageDraw

from awlab.lettering import PAPER, fitted, font, write


def draw_on(image):
    return ImageDraw.Draw(image)


def test_a_text_that_fits_is_left_whole():
    draw = draw_on(Image.new("RGB", (200, 40)))
    assert fitted(draw, "layer4", 20, 150) == "layer4"


def test_a_text_that_is_too_long_is_cut_to_the_room():
    draw = draw_on(Image.new("RGB", (200, 40)))
    shown = fitted(draw, "x" * 300, 20, 150)
    assert shown.endswith("x...")
    assert draw.textlength(shown, font(20)) <= 150
    assert draw.textlength(shown.replace("...", "x..."), font(20)) > 150


def test_nothing_is_written_beyond_the_room():
    image = Image.new("RGB", (200, 40), PAPER)
    write(draw_on(image), (10, 30), "x" * 300, 20, room=80)
    beyond = image.crop((92, 0, 200, 40))
    assert image.getcolors() != [(200 * 40, (251, 250, 247))]
    assert beyond.getcolors() == [(108 * 40, (251, 250, 247))]
