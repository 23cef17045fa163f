"""How cells are named: by the label of each axis, or of the only one."""

from collections.abc import Iterable, Mapping

from awlab.spec.ablation import Axis
from awlab.spec.document import Document, Path
from awlab.spec.errors import did_you_mean

MOST_LISTED = 20

Labels = Mapping[str, str]
"""Axis to the label of its value, in the order of the axes: one cell."""


def name_of(labels: Labels) -> str:
    """Return the label of the only axis, or `axis=label,axis=label`."""
    if len(labels) == 1:
        return next(iter(labels.values()))
    return ",".join(f"{axis}={label}" for axis, label in labels.items())


def labels_of(
    name: str,
    axes: Mapping[str, Axis],
    *,
    defaults: Labels | None = None,
    document: Document,
    path: Path = (),
) -> Labels | None:
    """Read the name of a cell.

    Args:
        name: The label of the only axis, or `axis=label,axis=label` in any order.
        axes: Of the study.
        defaults: Labels of axes that the name leaves out.
        document: Takes note of what is wrong with the name.
        path: Where the name stands in the document.

    Returns:
        The labels in the order of the axes, or None when something is wrong.
    """
    pairs = _pairs(name, axes)
    if pairs is None:
        example = ",".join(f"{axis}={next(iter(axes[axis].labelled))}" for axis in axes)
        note(document, path, f"{name!r} is no cell; a cell is written as in {example}")
        return None
    known = [is_label(axis, label, axes, document, (*path, axis)) for axis, label in pairs]
    labels = {**(defaults or {}), **dict(pairs)}
    missing = [axis for axis in axes if axis not in labels]
    if missing:
        note(document, path, f"{name!r} names no value of {', '.join(missing)}")
    return None if missing or not all(known) else {axis: labels[axis] for axis in axes}


def is_label(
    axis: str, label: str, axes: Mapping[str, Axis], document: Document, path: Path
) -> bool:
    """Tell whether the axis and its label exist; if not, take note of it."""
    if axis not in axes:
        message = f"no axis {axis!r}; expected {_one_of(axes)}"
        note(document, path, message, hint=did_you_mean(axis, axes))
    elif label not in (known := axes[axis].labelled):
        message = f"axis {axis} has no value {label!r}; expected {_one_of(known)}"
        note(document, path, message, hint=did_you_mean(label, known))
    else:
        return True
    return False


def note(document: Document, path: Path, message: str, *, hint: str = "") -> None:
    """Add what is wrong at `path` to the problems of the document."""
    document.problems.append(document.problem(path, message, hint=hint))


def _one_of(names: Iterable[str]) -> str:
    listed = list(names)
    more = ", ..." if len(listed) > MOST_LISTED else ""
    return f"one of {', '.join(listed[:MOST_LISTED])}{more}"


def _pairs(name: str, axes: Mapping[str, Axis]) -> list[tuple[str, str]] | None:
    if "=" not in name and len(axes) == 1:
        return [(next(iter(axes)), name)]
    parts = [part.partition("=") for part in name.split(",")]
    pairs = [(axis.strip(), label.strip()) for axis, _, label in parts]
    once = len({axis for axis, _ in pairs}) == len(pairs)
    return pairs if once and all(sign for _, sign, _ in parts) else None
