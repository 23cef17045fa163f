"""The plan of a study: its cells, their runs, and what is done of them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from awlab.plan.design import design
from awlab.plan.experiments import experiments
from awlab.plan.names import Labels
from awlab.record.run_directory import RunDirectory, State, find_runs
from awlab.spec.ablation import Ablation
from awlab.spec.base import Spec
from awlab.spec.conv import AWConvolution
from awlab.spec.document import Document
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment, Paper
from awlab.spec.runtime import Runtime

LONGEST_NAME = 64
BATCH_DEPENDENT = (
    "expand over n: samples of a batch share attention maps in training, so results depend on the "
    "batch size and on the number of devices"
)


@dataclass(frozen=True)
class Run:
    """One planned experiment: a cell at a seed.

    Attributes:
        cell: Name of the cell; where several cells mean this run, of the first.
        seed: Of the experiment.
        experiment: Named after study, cell and seed.
        id: Of the experiment.
        state: What the files of its directory say.
        path: Its directory, which need not exist yet.
    """

    cell: str
    seed: int
    experiment: Experiment
    id: str
    state: State
    path: Path

    @property
    def directory(self) -> RunDirectory:
        """The files of the run."""
        return RunDirectory(self.path)


@dataclass(frozen=True)
class Cell:
    """One combination of axis values.

    Attributes:
        name: The label of the only axis, or `axis=label,axis=label`.
        labels: Axis to label.
        runs: One per seed, in the order of the seeds; none where `excluded`. Those of another cell
            where `same_as`.
        excluded: Why it is not run.
        same_as: Name of the cell that means the same runs.
        notes: What a reader of its results has to know.
        paper: The published result it is set beside.
    """

    name: str
    labels: Labels
    runs: tuple[Run, ...]
    excluded: str | None = None
    same_as: str | None = None
    notes: tuple[str, ...] = ()
    paper: Paper | None = None


@dataclass(frozen=True)
class Plan:
    """All cells of an ablation.

    Attributes:
        ablation: With its base loaded.
        cells: In the order of the design, the excluded ones among them.
        baseline: Name of the cell that the others are compared with.
        references: Other baselines and the cells that are compared with them, each to its baseline.
    """

    ablation: Ablation
    cells: tuple[Cell, ...]
    baseline: str
    references: Mapping[str, str] = field(default_factory=dict[str, str])

    def __getitem__(self, name: str) -> Cell:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Cell]:
        return {cell.name: cell for cell in self.cells}

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The distinct runs, cell by cell."""
        return tuple(run for cell in self.cells if cell.same_as is None for run in cell.runs)

    @property
    def baselines(self) -> tuple[str, ...]:
        """Names of the cells that others are compared with."""
        return tuple(dict.fromkeys([self.baseline, *self.references.values()]))

    @property
    def compared(self) -> tuple[Cell, ...]:
        """The distinct cells that are run, without the baselines."""
        baselines = [self[name] for name in self.baselines]
        out = {name for cell in baselines for name in (cell.name, cell.same_as)}
        distinct = (cell for cell in self.cells if cell.excluded is None and cell.same_as is None)
        return tuple(cell for cell in distinct if cell.name not in out)

    @property
    def states(self) -> dict[State, int]:
        """Number of distinct runs in each state that occurs."""
        return dict(Counter(run.state for run in self.runs))

    def merge(self, same: Mapping[str, str], note: str) -> "Plan":
        """Let cells share the runs of others.

        Args:
            same: Cell to the cell that means the same; neither may be `same_as` another yet.
            note: Why, as in "builds the same network".
        """
        return replace(self, cells=tuple(self._merged(cell, same, note) for cell in self.cells))

    def _merged(self, cell: Cell, same: Mapping[str, str], note: str) -> Cell:
        other = same.get(cell.same_as or cell.name)
        if other is None:
            return cell
        notes = (*cell.notes, f"{note} as {other}")
        return replace(cell, runs=self[other].runs, same_as=other, notes=notes)

    def to_json(self) -> dict[str, Any]:
        """Plain data: the cells with the states of their runs."""
        return {
            "name": self.ablation.name,
            "axes": {name: list(axis.labelled) for name, axis in self.ablation.axes.items()},
            "seeds": list(self.ablation.seed_values),
            "baseline": self.baseline,
            "references": dict(self.references),
            "cells": [_cell_json(cell) for cell in self.cells],
        }


def plan(ablation: Ablation, document: Document | None = None) -> Plan:
    """Multiply the axes, validate every cell as a whole experiment, read what is done.

    Args:
        ablation: With its base loaded.
        document: Where it is written, so that errors can say the place.

    Raises:
        SpecError: With all that is wrong in the cells.
    """
    if not isinstance(ablation.base, Experiment):
        raise InputError(f"the base {ablation.base!r} is a path: load the study with load_ablation")
    drawn = design(ablation, document)
    made = experiments(ablation, drawn.run_cells, document)
    maker = _CellMaker(ablation, Path(ablation.base.runtime.root))
    cells: list[Cell] = []
    for name, labels in drawn.cells.items():
        paper = ablation.paper.get(drawn.paper.get(name, ""))
        if name in drawn.excluded:
            cells.append(Cell(name, labels, (), excluded=drawn.excluded[name], paper=paper))
        else:
            cells.append(maker.cell(name, labels, made[name], paper))
    return Plan(ablation, tuple(cells), drawn.baseline, drawn.references)


class _CellMaker:
    """Makes cells; two of the same id share their runs."""

    def __init__(self, ablation: Ablation, root: Path) -> None:
        self.ablation = ablation
        self.root = root
        self.done = find_runs(root)
        self.by_id: dict[str, Cell] = {}

    def cell(self, name: str, labels: Labels, experiment: Experiment, paper: Paper | None) -> Cell:
        runtime = _in_wandb(experiment.runtime, self.ablation.name, name, labels)
        experiment = experiment.model_copy(update={"runtime": runtime, "paper": paper})
        notes = (BATCH_DEPENDENT,) if _depends_on_batch(experiment) else ()
        first, *others = self.ablation.seed_values
        run = self._run(name, labels, experiment, first)
        twin = self.by_id.get(run.id)
        if twin is not None:
            return Cell(name, labels, twin.runs, same_as=twin.name, notes=notes, paper=paper)
        runs = (run, *(self._run(name, labels, experiment, seed) for seed in others))
        return self.by_id.setdefault(run.id, Cell(name, labels, runs, notes=notes, paper=paper))

    def _run(self, cell: str, labels: Labels, experiment: Experiment, seed: int) -> Run:
        name = run_name(self.ablation.name, labels, seed)
        named = experiment.model_copy(update={"name": name, "seed": seed})
        identity = named.id
        found = self.done.get(identity)
        if found is not None:
            return Run(cell, seed, named, identity, found.state, found.path)
        return Run(cell, seed, named, identity, "missing", self.root / f"{name}-{identity}")


def run_name(study: str, labels: Labels, seed: int) -> str:
    """Return `study-label-label-s0`, with what is too long cut before the seed."""
    slug = re.sub(r"[^a-z0-9_]+", "-", "-".join([study, *labels.values()]).lower())
    end = f"-s{seed}"
    return slug[: LONGEST_NAME - len(end)].strip("-") + end


def _in_wandb(runtime: Runtime, study: str, cell: str, labels: Labels) -> Runtime:
    """Let W&B show the study as a group, unless the base says how to show its runs."""
    tags = tuple(f"{axis}={label}"[:LONGEST_NAME] for axis, label in labels.items())
    shown = {
        "wandb_group": runtime.wandb_group or study,
        "wandb_job_type": runtime.wandb_job_type or cell[:LONGEST_NAME],
        "wandb_tags": (*runtime.wandb_tags, *tags),
    }
    return runtime.model_copy(update=shown)


def _depends_on_batch(node: Spec) -> bool:
    if isinstance(node, AWConvolution):
        return "n" in node.expand
    return any(map(_depends_on_batch, _children(node)))


def _children(node: Spec) -> Iterator[Spec]:
    for name in type(node).model_fields:
        child = getattr(node, name)
        if isinstance(child, Spec):
            yield child


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        "name": cell.name,
        "labels": dict(cell.labels),
        "excluded": cell.excluded,
        "same_as": cell.same_as,
        "notes": list(cell.notes),
        "runs": [
            {
                "seed": run.seed,
                "id": run.id,
                "name": run.experiment.name,
                "state": run.state,
                "directory": str(run.path),
            }
            for run in cell.runs
        ],
    }
