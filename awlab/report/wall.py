"""The Grad-CAM wall: the same images, and where the network of each cell looks in them."""

import base64
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from awlab.plan import Plan, Run
from awlab.record.run_directory import RunDirectory

LIST = "explanations.json"
SIDE = 176
"""Longer side of a picture, pixels: shown at half of that, sharp on a fine screen."""
QUALITY = 72
MOST_PICTURES = 240
FEWEST_IMAGES = 2

Source = int | str


@dataclass
class Explained:
    """An entry of the list that a run leaves beside its pictures."""

    source: Source
    image: str
    overlay: str
    prediction: str
    confidence: float
    truth: str | None = None


@dataclass(frozen=True)
class Picture:
    """What the network of a cell makes of an image.

    Attributes:
        overlay: Data URI of a WebP picture; None where it cannot be read.
        prediction: Name of a class.
        confidence: Of the prediction, percent.
        right: Whether it is the truth; None where that is not known.
    """

    overlay: str | None
    prediction: str
    confidence: float
    right: bool | None


@dataclass(frozen=True)
class Line:
    """An image and what each cell makes of it; None where a cell has not explained it."""

    source: Source
    image: str | None
    truth: str | None
    pictures: Sequence[Picture | None]


@dataclass(frozen=True)
class Wall:
    """Images by cells.

    Attributes:
        cells: Name to the seed whose network is shown.
        lines: One per image.
        left_out: Cells and images for which there was no room.
    """

    cells: Mapping[str, int]
    lines: Sequence[Line]
    left_out: tuple[int, int]


def wall(plan: Plan, cells: Sequence[str]) -> Wall | None:
    """Gather the pictures of some cells; None when no run has explained any.

    All cells are shown with the same seed where one is common to them.
    """
    by_cell = {name: _explained(plan[name].runs) for name in cells}
    by_cell = {name: by_seed for name, by_seed in by_cell.items() if by_seed}
    if not by_cell:
        return None
    seeds = Counter(seed for by_seed in by_cell.values() for seed in by_seed)
    common = max(seeds, key=lambda seed: (seeds[seed], -seed))
    shown = list(by_cell)[: MOST_PICTURES // FEWEST_IMAGES]
    chosen = {name: common if common in by_cell[name] else min(by_cell[name]) for name in shown}
    columns = {name: by_cell[name][seed] for name, seed in chosen.items()}
    sources = list(
        dict.fromkeys(source for column in columns.values() for source in column.entries)
    )
    room = max(FEWEST_IMAGES, MOST_PICTURES // len(shown))
    lines = [_line(source, list(columns.values())) for source in sources[:room]]
    left_out = (len(by_cell) - len(shown), len(sources) - len(lines))
    return Wall(chosen, lines, left_out)


@dataclass(frozen=True)
class _Column:
    """What one run explained."""

    folder: Path
    entries: Mapping[Source, Explained]


_LIST = TypeAdapter(list[Explained])


def _explained(runs: Sequence[Run]) -> dict[int, _Column]:
    found = {run.seed: _column(run.directory) for run in runs if run.state == "finished"}
    return {seed: column for seed, column in found.items() if column.entries}


def _column(directory: RunDirectory) -> _Column:
    """A list that cannot be read is one without entries."""
    try:
        document: Any = json.loads((directory.gradcam / LIST).read_bytes())
        entries = _LIST.validate_python(document["images"])
    except (OSError, ValueError, TypeError, KeyError, ValidationError):
        entries = []
    return _Column(directory.gradcam, {entry.source: entry for entry in entries})


def _line(source: Source, columns: Sequence[_Column]) -> Line:
    entries = [(column, column.entries.get(source)) for column in columns]
    folder, first = next((column.folder, entry) for column, entry in entries if entry)
    return Line(
        source=source,
        image=_as_webp(folder / Path(first.image).name),
        truth=first.truth,
        pictures=[entry and _picture(column.folder, entry) for column, entry in entries],
    )


def _picture(folder: Path, entry: Explained) -> Picture:
    """The file lies in the folder of the run, wherever that was when the list was written."""
    return Picture(
        overlay=_as_webp(folder / Path(entry.overlay).name),
        prediction=entry.prediction,
        confidence=100 * entry.confidence,
        right=None if entry.truth is None else entry.prediction == entry.truth,
    )


def _as_webp(path: Path) -> str | None:
    try:
        with Image.open(path) as picture:
            picture = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError):  # What PIL raises of files that are no pictures.
        return None
    picture.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
