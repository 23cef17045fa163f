"""What the AW-convolutions of each cell attend to, as their runs recorded it."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from awlab.layer_attention import MOST_LAYERS, LayerAttention
from awlab.plan import Plan

LIST = "attention.json"
SHEET = "attention.png"
"""File with the picture, beside the list."""
MOST_ROWS = 48
"""Layers of all cells together; a cell is shown whole or not at all, the first one always."""


@dataclass(frozen=True)
class Attention:
    """The attention maps of a network over some test images.

    Attributes:
        images: How many.
        classes: Names of those that are told apart.
        layers: In the order of the forward pass.
        left_out: Layers for which there is no room.
    """

    images: int
    classes: Sequence[str]
    layers: Sequence[LayerAttention]
    left_out: int = 0


_ATTENTION = TypeAdapter(Attention)


def read_attention(folder: Path) -> Attention | None:
    """Read what a run recorded; None where it recorded nothing, or that is damaged."""
    try:
        found = _ATTENTION.validate_json((folder / LIST).read_bytes())
    except (OSError, ValidationError):
        return None
    shown = found.layers[:MOST_LAYERS]
    return replace(found, layers=shown, left_out=len(found.layers) - len(shown))


@dataclass(frozen=True)
class OfCells:
    """The attention of the cells of a study.

    Attributes:
        cells: Name to attention.
        left_out: Cells for which there is no room.
    """

    cells: Mapping[str, Attention]
    left_out: int


def attention(plan: Plan, seeds: Mapping[str, int]) -> OfCells | None:
    """Read the attention of some cells; None when none has any.

    Args:
        plan: The study.
        seeds: Cell to the seed whose network is shown.
    """
    found = {
        name: read_attention(run.directory.gradcam)
        for name, seed in seeds.items()
        for run in plan[name].runs
        if run.seed == seed
    }
    shown: dict[str, Attention] = {}
    left_out = 0
    for name, one in found.items():
        if one is not None and one.layers:
            rows = sum(len(other.layers) for other in shown.values()) + len(one.layers)
            if shown and rows > MOST_ROWS:
                left_out += 1
            else:
                shown[name] = one
    return OfCells(shown, left_out) if shown else None


def histogram_path(layer: LayerAttention) -> str:
    """The outline of a histogram: a unit wide per bin, its peak 100 high, from the top."""
    peak = max(layer.histogram) or 1.0
    steps = (
        f"V{100 - 100 * share / peak:.3g}H{k}" for k, share in enumerate(layer.histogram, start=1)
    )
    return f"M0 100{''.join(steps)}V100Z"


def class_picture(layer: LayerAttention) -> str:
    """The classes along a layer as a data URI: a pixel per class and place."""
    data = io.BytesIO()
    Image.fromarray(layer.class_colours).save(data, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
