import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from awlab.layer_attention import ABOVE, BELOW, BETWEEN, MOST_LAYERS
from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report import attention as module
from awlab.report.attention import (
    LIST,
    attention,
    class_picture,
    histogram_path,
    read_attention,
)
from tests.test_layer_attention import LAYER

DOCUMENT = {"images": 4, "classes": ["ant", "bee"], "layers": [LAYER.to_dict()]}


def leave(folder: Path, text: str = json.dumps(DOCUMENT)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LIST).write_text(text)


def test_attention_is_that_of_the_shown_seed(
    make_plan: Callable[..., Plan], finish: Callable[..., RunDirectory]
) -> None:
    plan = make_plan()
    for run in plan["residual"].runs:
        leave(finish(run, 1.0).gradcam, json.dumps(DOCUMENT | {"images": 10 + run.seed}))
    found = attention(plan, {"residual": 1, "product": 1})
    assert found is not None
    assert {name: one.images for name, one in found.cells.items()} == {"residual": 11}
    assert found.cells["residual"].layers == [LAYER]
    assert found.left_out == 0
    assert attention(plan, {"product": 1}) is None


def test_cells_without_room_are_counted(
    make_plan: Callable[..., Plan],
    finish: Callable[..., RunDirectory],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 1)
    plan = make_plan()
    for run in plan.runs:
        leave(finish(run, 1.0).gradcam)
    found = attention(plan, {"residual": 0, "product": 0})
    assert found is not None
    assert (list(found.cells), found.left_out) == (["residual"], 1)


def test_the_outline_of_a_histogram() -> None:
    assert histogram_path(LAYER) == "M0 100V66.7H1V0H2V100Z"
    assert histogram_path(replace(LAYER, histogram=[0.0])) == "M0 100V100H1V100Z"


@pytest.mark.parametrize("text", ["", "[]", '{"images": 3}', '{"images": 1, "layers": 7}', "\x00"])
def test_damage_is_no_attention(tmp_path: Path, text: str) -> None:
    leave(tmp_path, text)
    assert read_attention(tmp_path) is None


def test_nothing_recorded(tmp_path: Path) -> None:
    assert read_attention(tmp_path) is None


def test_of_a_deep_network_the_first_layers_are_read(tmp_path: Path) -> None:
    leave(tmp_path, json.dumps(DOCUMENT | {"layers": [LAYER.to_dict()] * 60}))
    found = read_attention(tmp_path)
    assert found is not None
    assert (len(found.layers), found.left_out) == (MOST_LAYERS, 60 - MOST_LAYERS)


def test_a_pixel_per_class_and_place() -> None:
    head, _, data = class_picture(LAYER).partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        pixels = picture.convert("RGB")
    assert pixels.size == (2, 2)
    assert [pixels.getpixel((x, y)) for y in (0, 1) for x in (0, 1)] == [
        BETWEEN,
        BELOW,
        BETWEEN,
        ABOVE,
    ]
