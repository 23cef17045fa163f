import numpy as np
import pytest
from PIL import Image, ImageColor

from awlab.contact_sheet import GAP, HEAD, MARGIN, SEAM
from awlab.detection_sheet import (
    CAPTION,
    IGNORED,
    SIDE,
    Box,
    DetectionPicture,
    detection_sheet,
    draw_boxes,
)
from awlab.lettering import RIGHT, WRONG

GROUND = np.full((60, 80, 3), 200, np.uint8)


def where(image, colour):
    """Columns and rows of the pixels of a colour."""
    rows, columns = np.nonzero((np.asarray(image) == ImageColor.getrgb(colour)).all(-1))
    return columns, rows


def test_a_box_is_where_its_corners_are():
    drawn = draw_boxes(GROUND, [Box((20, 30, 60, 50), "", RIGHT)], side=160)
    assert drawn.size == (160, 120)
    columns, rows = where(drawn, RIGHT)
    below = rows >= 60  # The label stands above it.
    assert (columns[below].min(), columns[below].max()) == (40, 119)
    assert rows[below].max() == 99
    assert drawn.getpixel((80, 80)) == (200, 200, 200)


def test_a_box_over_the_border_and_one_without_area_are_drawn_as_far_as_they_go():
    boxes = [Box((-20, 10, 200, 90), "a", WRONG), Box((5, 5, 5, 5), "b", RIGHT)]
    columns, _ = where(draw_boxes(GROUND, boxes), WRONG)
    assert len(columns) > 100
    assert len(where(draw_boxes(GROUND, boxes), RIGHT)[0])


def test_a_label_stands_above_its_box_or_in_it_and_within_the_image():
    above = draw_boxes(GROUND, [Box((60, 30, 78, 50), "a long label", RIGHT)])
    columns, rows = where(above, RIGHT)
    assert rows.min() < 30 * SIDE / 80
    assert columns.max() <= SIDE - 1
    inside = draw_boxes(GROUND, [Box((0, 0, 30, 50), "label", RIGHT)])
    plain = draw_boxes(GROUND, [Box((0, 0, 30, 50), "", RIGHT)])
    assert len(where(inside, RIGHT)[0]) > len(where(plain, RIGHT)[0])


def test_a_label_longer_than_the_image_is_cut():
    drawn = draw_boxes(GROUND, [Box((0, 20, 30, 50), "word " * 100, RIGHT)])
    assert drawn.size == (SIDE, SIDE * 60 // 80)


def shown(objects=2, right=1, wrong=0):
    truth, found = (Image.new("RGB", (SIDE, SIDE), colour) for colour in ("navy", "indigo"))
    return DetectionPicture(truth, found, objects, right, wrong)


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (8, 2, 4), (12, 3, 4)])
def test_pairs_stand_in_a_grid(count, columns, rows):
    sheet = detection_sheet([shown()] * count, title="t", subtitle="s")
    width = max(columns * (2 * SIDE + SEAM + GAP) - GAP, 872)
    height = HEAD + rows * (SIDE + CAPTION + GAP) - GAP
    assert sheet.size == (width + 2 * MARGIN, height + 2 * MARGIN)


def test_truth_is_on_the_left_and_what_was_found_on_the_right():
    cell = np.asarray(detection_sheet([shown()], title="t", subtitle="s"))[MARGIN + HEAD :][:SIDE]
    assert (cell[:, MARGIN:][:, :SIDE] == ImageColor.getrgb("navy")).all()
    assert (cell[:, MARGIN + SIDE + SEAM :][:, :SIDE] == ImageColor.getrgb("indigo")).all()


def test_the_colours_are_explained():
    sheet = detection_sheet([shown()], title="t", subtitle="s")
    top = sheet.crop((0, 0, sheet.width, MARGIN + HEAD))
    assert all(len(where(top, colour)[0]) > 50 for colour in (RIGHT, WRONG, IGNORED))


def test_wrong_boxes_are_counted_in_red():
    def caption(wrong):
        sheet = detection_sheet([shown(wrong=wrong)], title="t", subtitle="s")
        return sheet.crop((0, MARGIN + HEAD + SIDE, *sheet.size))

    assert not len(where(caption(0), WRONG)[0])
    assert len(where(caption(3), WRONG)[0])
