"""Which cells a study has: labels only, no experiments yet."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from awlab.plan.names import Labels, is_label, labels_of, name_of, note
from awlab.spec.ablation import Ablation, Exclusion
from awlab.spec.document import Document, Path, dotted
from awlab.spec.errors import SpecError
from awlab.spec.metrics import DECIDING, measure_of

MOST_RUNS = 100_000


@dataclass(frozen=True)
class Design:
    """The cells of a study, in its order.

    Attributes:
        cells: By name.
        baseline: Name of the cell that the others are compared with; never excluded.
        references: Other baselines and the cells that are compared with them, each to its baseline;
            none is excluded.
        excluded: Name to reason.
        paper: Name to the key under which the study gives the cell's published result.
    """

    cells: Mapping[str, Labels]
    baseline: str
    references: Mapping[str, str]
    excluded: Mapping[str, str]
    paper: Mapping[str, str]

    @property
    def run_cells(self) -> dict[str, Labels]:
        """The cells that are not excluded."""
        return {name: labels for name, labels in self.cells.items() if name not in self.excluded}


def design(ablation: Ablation, document: Document | None = None) -> Design:
    """Multiply the axes.

    Args:
        ablation: The study.
        document: Where it is written, so that errors can say the place.

    Raises:
        SpecError: When the metric is that of another task, axes are nested, a cell or label is
            unknown, a baseline is not run or is compared with another one, an exclusion or an
            inclusion changes nothing, or there are too many runs.
    """
    document = replace(document or Document({}), problems=[])
    _check_metric(ablation, document)
    _check_paths(ablation, document)
    _check_size(ablation, document)
    _check_design(ablation, document)
    baseline = labels_of(ablation.baseline, ablation.axes, document=document, path=("baseline",))
    _stop_at_problems(document)
    assert baseline is not None
    cells = {name_of(labels): labels for labels in _spanned(ablation, baseline)}
    cells |= _included(ablation, baseline, cells, document)
    excluded = _excluded(ablation, list(cells.values()), document)
    _check_baseline(name_of(baseline), cells, excluded, document)
    references = _references(ablation, name_of(baseline), cells, excluded, document)
    paper = _named(ablation, cells, document)
    _stop_at_problems(document)
    return Design(cells, name_of(baseline), references, excluded, paper)


def _stop_at_problems(document: Document) -> None:
    if document.problems:
        raise SpecError(document.problems)


def _check_metric(ablation: Ablation, document: Document) -> None:
    name, measure = ablation.metric.name, measure_of(ablation.metric.name)
    task = None if isinstance(ablation.base, str) else ablation.base.data.task
    if task is not None and measure is not None and measure.task != task:
        message = (
            f"{name!r} is measured of {measure.task}, and the base is for {task}: take "
            f"test/{DECIDING[task]}"
        )
        note(document, ("metric", "name"), message)


def _check_paths(ablation: Ablation, document: Document) -> None:
    nodes = [(name, path) for name, axis in ablation.axes.items() for path in axis.paths]
    for (first, path), (second, other) in combinations(nodes, 2):
        shared = min(len(path), len(other))
        if first != second and path[:shared] == other[:shared]:
            message = (
                f"{dotted(other)} and {dotted(path)} of axis {first} are one node or nested; vary "
                f"them by one axis at {dotted(path[:shared])}"
            )
            note(document, ("axes", second, "path"), message)


def _check_size(ablation: Ablation, document: Document) -> None:
    sizes = [len(axis.values) for axis in ablation.axes.values()]
    cells = math.prod(sizes) if ablation.design == "full_factorial" else sum(sizes)
    seeds = len(ablation.seed_values)
    if cells * seeds > MOST_RUNS:
        message = f"{cells} cells with {seeds} seeds are more than {MOST_RUNS} runs"
        note(document, ("axes",), message)


def _check_design(ablation: Ablation, document: Document) -> None:
    if ablation.design == "list" and not ablation.include:
        note(document, ("design",), "list runs the cells under 'include', and there are none")
    if ablation.design == "leave_one_out":
        for name, axis in ablation.axes.items():
            if len(axis.values) != 2:
                message = (
                    f"leave_one_out needs two values, with and without, not {len(axis.values)}"
                )
                note(document, ("axes", name, "values"), message)


def _spanned(ablation: Ablation, baseline: Labels) -> Iterator[Labels]:
    if ablation.design == "full_factorial":
        for labels in product(*(axis.labelled for axis in ablation.axes.values())):
            yield dict(zip(ablation.axes, labels, strict=True))
    elif ablation.design != "list":
        yield baseline
        for name, axis in ablation.axes.items():
            others = (label for label in axis.labelled if label != baseline[name])
            yield from ({**baseline, name: label} for label in others)


def _included(
    ablation: Ablation, baseline: Labels, cells: Mapping[str, Labels], document: Document
) -> dict[str, Labels]:
    included: dict[str, Labels] = {}
    for i, name in enumerate(ablation.include):
        path = ("include", i)
        labels = labels_of(name, ablation.axes, defaults=baseline, document=document, path=path)
        if labels is None:
            continue
        if name_of(labels) in cells or name_of(labels) in included:
            note(document, path, f"{name_of(labels)} is a cell of the study already")
        included[name_of(labels)] = labels
    return included


def _excluded(ablation: Ablation, cells: Sequence[Labels], document: Document) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for i, exclusion in enumerate(ablation.exclude):
        path = ("exclude", i, "when")
        if not _labels_exist(exclusion, ablation, document, path):
            continue
        hit = [cell for cell in cells if all(cell[a] in some for a, some in exclusion.when.items())]
        if not hit:
            note(document, path, "no cell of the study is excluded by this")
        for cell in hit:
            reasons.setdefault(name_of(cell), exclusion.reason)
    return reasons


def _labels_exist(exclusion: Exclusion, ablation: Ablation, document: Document, path: Path) -> bool:
    before = len(document.problems)
    for axis, labels in exclusion.when.items():
        for label in labels:
            is_label(axis, label, ablation.axes, document, (*path, axis))
    return len(document.problems) == before


def _check_baseline(
    baseline: str, cells: Mapping[str, Labels], excluded: Mapping[str, str], document: Document
) -> None:
    if baseline not in cells:
        note(document, ("baseline",), f"{baseline} is not among the cells under 'include'")
    if baseline in excluded:
        note(document, ("baseline",), f"{baseline} is excluded: {excluded[baseline]}")


def _references(
    ablation: Ablation,
    baseline: str,
    cells: Mapping[str, Labels],
    excluded: Mapping[str, str],
    document: Document,
) -> dict[str, str]:
    references: dict[str, str] = {}
    placed = {baseline}
    for key, members in ablation.other_baselines.items():
        at: Path = ("other_baselines", key)
        names: list[str] = []
        for path, written in [(at, key), *(((*at, i), name) for i, name in enumerate(members))]:
            labels = labels_of(written, ablation.axes, document=document, path=path)
            if labels is None:
                continue
            names.append(name_of(labels))
            if names[-1] not in cells:
                note(document, path, f"{names[-1]} is not a cell of the study")
            elif names[-1] in excluded:
                note(document, path, f"{names[-1]} is excluded: {excluded[names[-1]]}")
            elif names[-1] in placed:
                note(document, path, f"{names[-1]} is a baseline, or compared with one, already")
            placed.add(names[-1])
        references |= dict.fromkeys(names, names[0]) if names else {}
    return references


def _named(ablation: Ablation, cells: Mapping[str, Labels], document: Document) -> dict[str, str]:
    keys: dict[str, str] = {}
    for key in ablation.paper:
        labels = labels_of(key, ablation.axes, document=document, path=("paper", key))
        if labels is None:
            continue
        if name_of(labels) not in cells:
            note(document, ("paper", key), f"{name_of(labels)} is not a cell of the study")
        elif name_of(labels) in keys:
            note(document, ("paper", key), f"{name_of(labels)} has two published results")
        keys[name_of(labels)] = key
    return keys
