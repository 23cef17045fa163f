import base64
import io
import shutil
from collections.abc import Callable

import pytest
from PIL import Image

from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report import wall as module
from awlab.report.wall import SIDE, Wall, as_webp, wall

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]
Explain = Callable[..., None]
CELLS = ["residual", "product"]
RIGHT, WRONG = {"prediction": "cat"}, {"prediction": "dog", "confidence": 0.8}


@pytest.fixture
def plan(make_plan: MakePlan, finish: Finish) -> Plan:
    for run in make_plan().runs:
        finish(run, 10.0)
    return make_plan()


def read(plan: Plan) -> Wall:
    found = wall(plan, CELLS)
    assert found is not None
    return found


def test_the_same_images_stand_side_by_side(plan: Plan, explain: Explain) -> None:
    explain(plan["residual"].runs[0], RIGHT, WRONG)
    explain(plan["product"].runs[0], WRONG | {"source": 1}, RIGHT | {"source": 0})
    found = read(plan)
    assert found.cells == {"residual": 0, "product": 0}
    assert found.left_out == (0, 0)
    assert [(line.source, line.truth) for line in found.lines] == [(0, "cat"), (1, "cat")]
    said = [
        [(p.prediction, p.confidence, p.right) for p in line.pictures if p] for line in found.lines
    ]
    assert said[0] == [("cat", 50.0, True), ("cat", 50.0, True)]
    assert said[1] == [("dog", 80.0, False), ("dog", 80.0, False)]


def test_maps_are_of_a_layer_and_as_faithful_as_was_measured(plan: Plan, explain: Explain) -> None:
    measured = [{"drop": d, "deletion": d / 100, "insertion": 0.5} for d in (20.0, 40.0)]
    explain(plan["residual"].runs[0], *(RIGHT | one for one in measured))
    explain(plan["product"].runs[0], RIGHT | measured[0], RIGHT)
    found = read(plan)
    assert found.layers == {"residual": "l", "product": "l"}
    assert found.faithful.keys() == {"residual"}, "the other one was not measured on all images"
    drop = found.faithful["residual"]["drop"]
    assert (drop.n, drop.mean) == (2, 30.0)
    assert found.faithful["residual"]["deletion"].mean == pytest.approx(0.3)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_an_image_without_a_number_leaves_all_measures_out(
    plan: Plan, explain: Explain, value: float | None
) -> None:
    measured = {"drop": 20.0, "deletion": 0.2, "insertion": 0.5}
    explain(plan["residual"].runs[0], RIGHT | measured, RIGHT | measured | {"drop": value})
    assert read(plan).faithful == {}


def test_pictures_that_were_asked_for_lie_below(plan: Plan, explain: Explain) -> None:
    explain(plan["residual"].runs[0], RIGHT)
    folder = plan["residual"].runs[0].directory.gradcam
    shutil.copytree(folder, folder / "layer2")
    (folder / "explanations.json").unlink()
    assert wall(plan, CELLS) is None
    found = wall(plan, CELLS, "layer2")
    assert found is not None
    assert found.lines[0].image == folder / "layer2" / "000-input.png"


def test_pictures_are_small_and_part_of_the_page(plan: Plan, explain: Explain) -> None:
    explain(plan["residual"].runs[0], RIGHT)
    uri = as_webp(read(plan).lines[0].image)
    assert uri is not None
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (SIDE, SIDE // 2))
        assert picture.convert("RGB").getpixel((9, 9)) == pytest.approx((128, 128, 128), abs=3)


def test_all_cells_are_shown_with_a_common_seed(plan: Plan, explain: Explain) -> None:
    explain(plan["residual"].runs[0], RIGHT)
    explain(plan["residual"].runs[1], RIGHT)
    explain(plan["product"].runs[1], RIGHT)
    assert read(plan).cells == {"residual": 1, "product": 1}


def test_a_cell_without_the_common_seed_has_its_own(plan: Plan, explain: Explain) -> None:
    explain(plan["residual"].runs[0], RIGHT)
    explain(plan["product"].runs[1], RIGHT | {"source": "my/cat.png", "truth": None})
    found = read(plan)
    assert found.cells == {"residual": 0, "product": 1}
    assert [line.source for line in found.lines] == [0, "my/cat.png"]
    assert found.lines[0].pictures[1] is None
    picture = found.lines[1].pictures[1]
    assert picture is not None
    assert picture.right is None


def test_a_picture_that_cannot_be_read_is_lost_alone(plan: Plan, explain: Explain) -> None:
    explain(plan["residual"].runs[0], RIGHT, RIGHT)
    folder = plan["residual"].runs[0].directory.gradcam
    (folder / "000-input.png").unlink()
    (folder / "000-overlay.png").write_text("no picture")
    (folder / "001-input.png").write_bytes((folder / "001-input.png").read_bytes()[:90])
    first, second = read(plan).lines
    assert first.pictures[0] is not None
    assert second.pictures[0] is not None
    files = [first.image, first.pictures[0].overlay, second.image, second.pictures[0].overlay]
    assert [as_webp(file) is None for file in files] == [True, True, True, False]


@pytest.mark.parametrize("text", ["", "[]", '{"images": 7}', '{"images": [{"source": 1}]}', "\x00"])
def test_a_damaged_list_is_no_wall(plan: Plan, explain: Explain, text: str) -> None:
    explain(plan["residual"].runs[0], RIGHT)
    (plan["residual"].runs[0].directory.gradcam / "explanations.json").write_text(text)
    assert wall(plan, CELLS) is None


def test_without_pictures_there_is_no_wall(plan: Plan, make_plan: MakePlan) -> None:
    assert wall(plan, CELLS) is None


def test_a_large_wall_says_what_it_leaves_out(
    plan: Plan, explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PICTURES", 2)
    for name in CELLS:
        explain(plan[name].runs[0], RIGHT, RIGHT, RIGHT)
    found = read(plan)
    assert list(found.cells) == ["residual"]
    assert len(found.lines) == 2
    assert found.left_out == (1, 1)
