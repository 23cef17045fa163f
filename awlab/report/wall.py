"""The Grad-CAM wall: the same images, and where the network of each cell looks in them."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from awlab.plan import Plan, Run
from awlab.statistics import Sample
from awlab.statistics.significance import describe

LIST = "explanations.json"
MEASURED = ("drop", "deletion", "insertion")
SIDE = 176
"""Longer side of a picture, pixels: shown smaller, sharp on a fine screen."""
QUALITY = 72
MOST_PICTURES = 240
FEWEST_IMAGES = 2

Source = int | str


@dataclass
class Explained:
    """An entry of the list that a run leaves beside its pictures.

    The last three say how faithful the map is; old runs have not measured it.
    """

    source: Source
    image: str
    overlay: str
    prediction: str
    confidence: float
    truth: str | None = None
    drop: float | None = None
    deletion: float | None = None
    insertion: float | None = None


@dataclass
class Listed:
    """The list itself."""

    layer: str
    images: list[Explained]


@dataclass(frozen=True)
class Picture:
    """What the network of a cell makes of an image.

    Attributes:
        overlay: Its file, which need not be readable.
        prediction: Name of a class.
        confidence: Of the prediction, percent.
        right: Whether it is the truth; None where that is not known.
    """

    overlay: Path
    prediction: str
    confidence: float
    right: bool | None


@dataclass(frozen=True)
class Line:
    """An image and what each cell makes of it; None where a cell has not explained it."""

    source: Source
    image: Path
    truth: str | None
    pictures: Sequence[Picture | None]


@dataclass(frozen=True)
class Wall:
    """Images by cells.

    Attributes:
        cells: Name to the seed whose network is shown.
        layers: Name to the layer that its maps are of.
        faithful: Name to how faithful its maps are, of those that measured it: `drop`, `deletion`
            and `insertion`, over all its images.
        lines: One per image.
        left_out: Cells and images for which there was no room.
    """

    cells: Mapping[str, int]
    layers: Mapping[str, str]
    faithful: Mapping[str, Mapping[str, Sample]]
    lines: Sequence[Line]
    left_out: tuple[int, int]


def wall(plan: Plan, cells: Sequence[str], folder: str = "") -> Wall | None:
    """Gather the pictures of some cells; None when no run has explained any.

    All cells are shown with the same seed where one is common to them.

    Args:
        plan: The study.
        cells: Those that are shown.
        folder: Below the pictures that the runs made themselves, where others were asked for.
    """
    by_cell = {name: _explained(plan[name].runs, folder) for name in cells}
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
    return Wall(
        cells=chosen,
        layers={name: column.layer for name, column in columns.items()},
        faithful={name: found for name, column in columns.items() if (found := _faithful(column))},
        lines=lines,
        left_out=left_out,
    )


def as_webp(path: Path) -> str | None:
    """A picture as a data URI, made small; None when it cannot be read."""
    try:
        with Image.open(path) as picture:
            picture = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError):  # What PIL raises of files that are no pictures.
        return None
    picture.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"


@dataclass(frozen=True)
class _Column:
    """What one run explained."""

    folder: Path
    layer: str
    entries: Mapping[Source, Explained]


_LIST = TypeAdapter(Listed)


def _explained(runs: Sequence[Run], folder: str) -> dict[int, _Column]:
    found = {
        run.seed: _column(run.directory.gradcam / folder) for run in runs if run.state == "finished"
    }
    return {seed: column for seed, column in found.items() if column.entries}


def _column(folder: Path) -> _Column:
    """A list that cannot be read is one without entries."""
    try:
        listed = _LIST.validate_json((folder / LIST).read_bytes())
    except (OSError, ValidationError):
        listed = Listed("", [])
    return _Column(folder, listed.layer, {entry.source: entry for entry in listed.images})


def _faithful(column: _Column) -> dict[str, Sample]:
    """All measures over all images; nothing where one is missing, or is no number."""
    measured = {
        name: [getattr(entry, name) for entry in column.entries.values()] for name in MEASURED
    }
    values = [value for of_measure in measured.values() for value in of_measure]
    if not all(value is not None and isfinite(value) for value in values):
        return {}
    return {name: describe(of_measure) for name, of_measure in measured.items()}


def _line(source: Source, columns: Sequence[_Column]) -> Line:
    entries = [(column, column.entries.get(source)) for column in columns]
    folder, first = next((column.folder, entry) for column, entry in entries if entry)
    return Line(
        source=source,
        image=folder / Path(first.image).name,
        truth=first.truth,
        pictures=[entry and _picture(column.folder, entry) for column, entry in entries],
    )


def _picture(folder: Path, entry: Explained) -> Picture:
    """The file lies in the folder of the run, wherever that was when the list was written."""
    return Picture(
        overlay=folder / Path(entry.overlay).name,
        prediction=entry.prediction,
        confidence=100 * entry.confidence,
        right=None if entry.truth is None else entry.prediction == entry.truth,
    )
