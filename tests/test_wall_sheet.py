from pathlib import Path

import pytest
from PIL import Image

from awlab.contact_sheet import HEAD
from awlab.lettering import PAPER
from awlab.report.wall import Line, Picture, Wall
from awlab.statistics.significance import describe
from awlab.wall_sheet import COLUMN, FOOT, MARGIN, ROW, SIDE, TITLE, measures, wall_sheet

FAITHFUL = {
    "drop": describe([30.0, 50.0, 40.0]),
    "deletion": describe([0.2, 0.4, 0.3]),
    "insertion": describe([0.5]),
}


@pytest.fixture
def wall(tmp_path: Path) -> Wall:
    """Two cells and two images; the second cell has explained the first image alone."""
    for name, colour in {"input": "grey", "red": "red", "lime": "lime"}.items():
        Image.new("RGB", (208, 104), colour).save(tmp_path / f"{name}.png")
    red = Picture(tmp_path / "red.png", "cat", 91.0, right=True)
    lime = Picture(tmp_path / "lime.png", "dog", 40.0, right=False)
    lost = Picture(tmp_path / "lost.png", "dog", 40.0, right=None)
    return Wall(
        cells={"plain": 0, "aw": 1},
        layers={"plain": "layer4", "aw": "layer4"},
        faithful={"plain": FAITHFUL},
        lines=[
            Line(0, tmp_path / "input.png", "cat", [red, lime]),
            Line(1, tmp_path / "input.png", "cat", [lost, None]),
        ],
        left_out=(1, 2),
    )


def draw(wall: Wall) -> Image.Image:
    return wall_sheet(wall, {"plain": "plain", "aw": "a" * 300}, title="study")


def test_pictures_stand_under_their_cell(wall: Wall) -> None:
    sheet = draw(wall)
    middle = MARGIN + HEAD + TITLE + SIDE // 2
    places = [MARGIN + k * COLUMN + SIDE // 2 for k in range(3)]
    found = [sheet.getpixel((x, middle)) for x in places]
    assert found == [(128, 128, 128), (255, 0, 0), (0, 255, 0)]
    assert sheet.getpixel((places[1] + SIDE // 2 + 8, middle)) == (251, 250, 247), PAPER


def test_it_grows_with_its_lines_and_has_a_foot(wall: Wall) -> None:
    assert draw(wall).height == 2 * MARGIN + HEAD + TITLE + 2 * ROW + FOOT


def test_a_picture_that_is_lost_leaves_the_others(wall: Wall) -> None:
    sheet = draw(wall)
    second = (
        MARGIN,
        MARGIN + HEAD + TITLE + ROW,
        MARGIN + SIDE,
        MARGIN + HEAD + TITLE + ROW + SIDE,
    )
    assert (128, 128, 128) in {colour for _, colour in sheet.crop(second).getcolors(9999) or []}


def test_how_faithful_maps_are_in_words() -> None:
    assert list(measures(FAITHFUL)) == [
        "drop 40 \N{PLUS-MINUS SIGN} 25 %",
        "deletion 0.30 \N{PLUS-MINUS SIGN} 0.25",
        "insertion 0.50",
    ]
    assert list(measures({})) == []
