import numpy as np
import pytest

from awlab.pictures import OPACITY, SIDE, heat_colours, overlay, picture


def lightness(rgb):
    """CIE 1976 L* of sRGB colours, by its definition."""
    encoded = rgb.astype(float) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(np.maximum(luminance, (6 / 29) ** 3)) - 16


def test_heat_grows_lighter_with_every_step():
    steps = np.diff(lightness(heat_colours())[::8])
    assert steps.min() > 1.5
    assert steps.max() < 4.0


def test_heat_runs_from_dark_violet_over_red_to_yellow():
    first, middle, last = heat_colours()[[0, 128, 255]].astype(int)
    assert first[2] > first[0] > first[1]
    assert middle[0] > middle[1] + 100
    assert last[0] > 200
    assert last[1] > 200 > last[2]


@pytest.mark.parametrize(
    ("shape", "size"),
    [((8, 8, 3), (208, 208)), ((224, 112, 3), (104, 208)), ((1, 500, 3), (208, 1))],
)
def test_picture_keeps_the_shape_of_the_image(shape, size):
    assert picture(np.zeros(shape, np.uint8)).size == size


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def test_overlay_without_evidence_is_the_grey_image(image):
    laid = np.asarray(overlay(image, np.zeros((32, 32), np.float32)))
    assert np.array_equal(laid, np.asarray(picture(image).convert("L").convert("RGB")))


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_overlay_covers_in_proportion_to_the_evidence(image, strength):
    laid = np.asarray(overlay(image, np.full((32, 32), strength, np.float32))).astype(float)
    grey = np.asarray(picture(image).convert("L")).astype(float)[..., None]
    opacity = OPACITY * strength
    expected = opacity * heat_colours()[round(255 * strength)] + (1 - opacity) * grey
    assert np.abs(laid - expected).max() <= 0.51


def test_overlay_takes_a_coarse_map_and_puts_the_heat_where_it_belongs():
    cam = np.zeros((4, 4), np.float32)
    cam[0, 3] = 1
    laid = np.asarray(overlay(np.full((8, 16, 3), 128, np.uint8), cam)).astype(int)
    assert laid.shape == (SIDE // 2, SIDE, 3)
    colourful = laid.max(-1) - laid.min(-1)
    rows, columns = np.nonzero(colourful > 100)
    assert rows.max() < SIDE / 4
    assert columns.min() > SIDE / 2
