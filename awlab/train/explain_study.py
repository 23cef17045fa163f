"""`awlab gradcam ABLATION`: where the networks of all cells look, side by side."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awlab.plan import Plan, Run
from awlab.record.study_directory import StudyDirectory
from awlab.report.wall import Wall, wall
from awlab.spec.errors import InputError
from awlab.train.explain import explain_run
from awlab.train.trained import Weights
from awlab.wall_sheet import wall_sheet


@dataclass(frozen=True)
class StudyExplanation:
    """The wall of a study.

    Attributes:
        picture: File with all of it.
        wall: What is on it.
        lost: Cells that are not on it, and why.
    """

    picture: Path
    wall: Wall
    lost: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain data: per cell its seed, its layer, and how faithful its maps are."""
        cells = {
            name: {
                "seed": seed,
                "layer": self.wall.layers[name],
                **{key: sample.mean for key, sample in self.wall.faithful.get(name, {}).items()},
            }
            for name, seed in self.wall.cells.items()
        }
        return {"picture": str(self.picture), "cells": cells, "lost": dict(self.lost)}


def explain_study(
    plan: Plan,
    *,
    images: Path | None = None,
    layer: str | None = None,
    weights: Weights | None = None,
) -> StudyExplanation:
    """Explain the same images with one network of each cell, at the same seed where possible.

    What a run has explained itself is taken from its directory, so that without an argument neither
    data nor weights are needed.

    Args:
        plan: The study; its runs need not be finished.
        images: As for `explain_run`.
        layer: As for `explain_run`.
        weights: As for `explain_run`.

    Raises:
        InputError: When no run is finished, or none can be explained.
    """
    chosen = choose_runs(plan)
    if not chosen:
        raise InputError(
            f"no run of the study {plan.ablation.name} is finished: nothing to explain"
        )
    lost = {
        cell.name: "no run is finished"
        for cell in plan.cells
        if cell.excluded is None and cell.same_as is None and cell.name not in chosen
    }
    asked = images is not None or layer is not None or weights is not None
    folders, reasons = dict[str, str](), dict[str, str]()
    for name, run in chosen.items():
        if not asked and _has_explained(plan, name):
            folders[name] = "."
            continue
        try:
            sheet, _ = explain_run(run.path, images=images, layer=layer, weights=weights)
        except InputError as error:
            reasons[name] = str(error)
        else:
            folders[name] = str(sheet.parent.relative_to(run.directory.gradcam))
    folder = max(folders.values(), key=[*folders.values()].count, default=".")
    shown = [name for name in folders if folders[name] == folder]
    found = wall(plan, shown, folder) if shown else None
    if found is None:
        raise InputError(next(iter(reasons.values()), "the pictures cannot be read"))
    for name in [name for name in folders if name not in found.cells]:
        reasons[name] = _why_not(chosen[name], folders[name], folder)
    picture = _picture_file(plan, folder)
    labels = {name: ", ".join(plan[name].labels.values()) for name in found.cells}
    picture.parent.mkdir(parents=True, exist_ok=True)
    wall_sheet(found, labels, title=plan.ablation.name).save(picture)
    return StudyExplanation(picture, found, lost | reasons)


def choose_runs(plan: Plan) -> dict[str, Run]:
    """A finished run of each cell that has one, of the seed that most cells have finished."""
    finished = {
        cell.name: {run.seed: run for run in cell.runs if run.state == "finished"}
        for cell in plan.cells
        if cell.excluded is None and cell.same_as is None
    }
    finished = {name: by_seed for name, by_seed in finished.items() if by_seed}
    if not finished:
        return {}
    counts = Counter(seed for by_seed in finished.values() for seed in by_seed)
    common = max(counts, key=lambda seed: (counts[seed], -seed))
    return {
        name: by_seed[common if common in by_seed else min(by_seed)]
        for name, by_seed in finished.items()
    }


def _has_explained(plan: Plan, name: str) -> bool:
    """Whether the pictures of a cell, and how faithful they are, can be read."""
    found = wall(plan, [name])
    return found is not None and name in found.faithful


def _why_not(run: Run, folder: str, of_others: str) -> str:
    """Why a run that was explained is not on the wall."""
    if folder == of_others:
        return "its pictures cannot be read, or there is no room for them"
    # Weights that only some runs have tested were asked for.
    tested, place = run.experiment.training.test_weights, run.directory.gradcam / folder
    return f"its run, unlike those that are shown, tested its {tested} weights; see {place}"


def _picture_file(plan: Plan, folder: str) -> Path:
    name = "-".join(filter(None, ["wall", folder.strip(".")]))
    return StudyDirectory.of(plan.ablation).gradcam / f"{name}.png"
