"""What the AW-convolutions of each cell attend to, as their runs recorded it."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from awlab.layer_attention import LayerAttention
from awlab.plan import Plan

LIST = "attention.json"
SHEET = "attention.png"
"""File with the picture, beside the list."""
MOST_LAYERS = 24
"""Of a network."""


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


def attention(plan: Plan, seeds: Mapping[str, int]) -> dict[str, Attention]:
    """Read the attention of some cells, of those that have any.

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
    return {name: one for name, one in found.items() if one is not None and one.layers}


def class_picture(layer: LayerAttention) -> str:
    """The classes along a layer as a data URI: a pixel per class and place."""
    data = io.BytesIO()
    Image.fromarray(layer.class_colours).save(data, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
