import numpy as np
import pytest
from PIL import Image, ImageColor

from awlab.contact_sheet import (
    CELL_HEIGHT,
    CELL_WIDTH,
    GAP,
    HEAD,
    MARGIN,
    RIGHT,
    WRONG,
    Pair,
    contact_sheet,
)
from awlab.pictures import SIDE

BLUE, VIOLET = (0, 0, 200), (90, 0, 120)


def pair(prediction="cat", truth: str | None = "cat", side=SIDE):
    size = (side, SIDE)
    return Pair(
        Image.new("RGB", size, BLUE), Image.new("RGB", size, VIOLET), prediction, truth, 0.5
    )


def sheet(pairs, title="quickstart-0123456789"):
    return contact_sheet(pairs, title=title, subtitle="Grad-CAM at layer4")


def count(image, colour):
    return int((np.asarray(image) == ImageColor.getrgb(colour)).all(-1).sum())


@pytest.mark.parametrize(
    ("pairs", "columns", "rows"),
    [(2, 2, 1), (6, 3, 2), (8, 4, 2), (9, 3, 3), (12, 4, 3), (64, 8, 8)],
)
def test_the_grid_is_full_and_has_equal_margins(pairs, columns, rows):
    width = 2 * MARGIN + columns * (CELL_WIDTH + GAP) - GAP
    height = 2 * MARGIN + HEAD + rows * (CELL_HEIGHT + GAP) - GAP
    assert sheet([pair()] * pairs).size == (width, height)


def test_one_pair_leaves_room_for_the_title():
    assert sheet([pair()]).size == sheet([pair()] * 2).size


def test_input_and_overlay_stand_side_by_side():
    cell = np.asarray(sheet([pair()]))[MARGIN + HEAD :][:SIDE, MARGIN:][:, :CELL_WIDTH]
    assert (cell[:, :SIDE] == BLUE).all()
    assert (cell[:, -SIDE:] == VIOLET).all()


def test_a_narrow_image_is_centred():
    row = np.asarray(sheet([pair(side=SIDE // 2)]))[MARGIN + HEAD, MARGIN:][:SIDE]
    (columns,) = np.nonzero((row == BLUE).all(-1))
    assert (columns.min(), columns.max()) == (SIDE // 4, SIDE // 4 + SIDE // 2 - 1)


def test_right_and_wrong_are_marked():
    right, wrong, unknown = sheet([pair()]), sheet([pair("dog")]), sheet([pair(truth=None)])
    assert count(right, RIGHT) > 100
    assert count(right, WRONG) == 0
    assert count(wrong, WRONG) > 100
    assert count(wrong, RIGHT) == 0
    assert count(unknown, RIGHT) == count(unknown, WRONG) == 0


def test_tick_and_cross_differ_in_shape_too():
    corner = (MARGIN, MARGIN + HEAD + SIDE + 12, MARGIN + 24, MARGIN + HEAD + SIDE + 36)
    tick, cross = (
        np.asarray(sheet([pair(p)]).crop(corner).convert("L")).astype(int) for p in ("cat", "dog")
    )
    assert np.abs((tick > 160).astype(int) - (cross > 160)).sum() > 20


def test_long_names_are_cut_before_the_confidence():
    caption = (MARGIN, MARGIN + HEAD + SIDE + 8, MARGIN + CELL_WIDTH, MARGIN + HEAD + SIDE + 36)
    short, long = (
        np.asarray(sheet([pair(p, None)]).crop(caption).convert("L")) for p in ("cat", "cat" * 50)
    )
    inked = np.nonzero((long < 128).any(0))[0]
    assert np.diff(inked).max() >= 12  # the gap before the percentage
    assert np.array_equal(long[:, -50:], short[:, -50:])


def test_a_long_title_does_not_reach_the_key():
    head = (MARGIN, MARGIN, MARGIN + 2 * CELL_WIDTH + GAP, MARGIN + HEAD - 30)
    row = np.asarray(sheet([pair()], "m" * 200).crop(head).convert("L")) < 200
    key = 2 * CELL_WIDTH + GAP - 260
    assert row[:, : key - GAP].any()
    assert not row[:, key - GAP + 1 : key - 2].any()
