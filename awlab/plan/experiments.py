"""From labels to experiments: put the values in place, validate the whole, name the culprit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from awlab.plan.names import Labels, note
from awlab.spec.ablation import ROOT, VARIED, Ablation
from awlab.spec.document import Document, Path, dotted
from awlab.spec.errors import Problem, SpecError, did_you_mean
from awlab.spec.experiment import Experiment
from awlab.spec.validation import validate


def experiments(
    ablation: Ablation, cells: Mapping[str, Labels], document: Document | None = None
) -> dict[str, Experiment]:
    """Make the experiment of each cell; name, seed and paper are still those of the base.

    Args:
        ablation: The study, with its base loaded.
        cells: By name.
        document: Where the study is written, so that errors can say the place.

    Raises:
        SpecError: When a path names no field of the base, or a value does not fit: which value of
            which axis, in which cells.
    """
    document = replace(document or Document({}), problems=[])
    assert isinstance(ablation.base, Experiment)
    nodes = ablation.base.model_dump(mode="json")
    _check_paths(ablation, {name: nodes[name] for name in VARIED}, document)
    labelled = {name: axis.labelled for name, axis in ablation.axes.items()}
    found: dict[str, Experiment] = {}
    wrong: dict[Problem, list[str]] = {}
    for name, labels in cells.items():
        values = {axis: labelled[axis][label] for axis, label in labels.items()}
        data = _replace(ablation, nodes, values)
        try:
            found[name] = Experiment.model_validate(data)
        except ValidationError:
            for problem in _problems(_CellDocument(data, ablation, labels, document)):
                wrong.setdefault(problem, []).append(name)
    if wrong:
        raise SpecError([_said_of(problem, names) for problem, names in wrong.items()])
    return found


def _check_paths(ablation: Ablation, nodes: Any, document: Document) -> None:
    for name, axis in ablation.axes.items():
        for path in axis.paths:
            _check_path(path, nodes, document, ("axes", name, "path"))
    if document.problems:
        raise SpecError(document.problems)


def _check_path(path: tuple[str, ...], node: Any, document: Document, where: Path) -> None:
    for depth, part in enumerate(path):
        parent = dotted(path[:depth]) or "an experiment"
        if not isinstance(node, dict):
            shown = "null" if node is None else repr(node)
            note(document, where, f"{parent} is {shown} in the base, which has no {part!r}")
            return
        known = cast("dict[str, Any]", node)
        if part not in known:
            kind = f" of kind {known['kind']}" if "kind" in known else ""
            message = f"{parent}{kind} has no {part!r}, only {', '.join(known)}"
            note(document, where, message, hint=did_you_mean(part, known))
            return
        node = known[part]


def _replace(
    ablation: Ablation, nodes: dict[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """The base with the values in place; what no axis touches stays a validated object."""
    data = {name: getattr(ablation.base, name) for name in nodes}
    for name, axis in ablation.axes.items():
        for top, *below in axis.paths:
            old = data[top] if isinstance(data[top], dict) else nodes[top]
            new = values[name][top] if axis.path == ROOT else values[name]
            data[top] = _with(old, below, new)
    return data


def _with(node: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    first, *below = path
    return {**node, first: _with(node[first], below, value)}


class _CellDocument(Document):
    """The data of a cell: what is wrong with it is wrong where the study writes a value."""

    def __init__(self, data: Any, ablation: Ablation, labels: Labels, study: Document) -> None:
        super().__init__(data)
        self.axes = ablation.axes
        self.labels = labels
        self.study = study

    def problem(self, path: Path, message: str, *, hint: str = "", at_key: bool = False) -> Problem:
        """Describe what is wrong at the value that put it there."""
        said = f"{dotted(path)}: {message}" if path else message
        return self.study.problem(self._origin(path), said, hint=hint, at_key=at_key)

    def _origin(self, path: Path) -> Path:
        """The value at or above `path`, else the first one below it."""
        nodes = [(name, node) for name, axis in self.axes.items() for node in axis.paths]
        for name, node in nodes:
            if path[: len(node)] == node:
                below = path if self.axes[name].path == ROOT else path[len(node) :]
                return (*self._value(name), *below)
        below = [name for name, node in nodes if node[: len(path)] == path]
        return self._value(below[0]) if below else ("axes",)

    def _value(self, name: str) -> Path:
        axis, label = self.axes[name], self.labels[name]
        listed = isinstance(axis.values, list)
        return ("axes", name, "values", list(axis.labelled).index(label) if listed else label)


def _problems(document: _CellDocument) -> list[Problem]:
    try:
        validate(Experiment, document)
    except SpecError as error:
        return error.problems
    raise AssertionError("what was invalid is valid")


def _said_of(problem: Problem, cells: list[str]) -> Problem:
    more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    return replace(problem, message=f"{problem.message} (cell {cells[0]}{more})")
