"""Which keys a spec knows, for errors about one that it does not know."""

from collections.abc import Iterator
from typing import Any, get_args

from awlab.spec.base import Family, Spec
from awlab.spec.document import Path, dotted, is_mapping
from awlab.spec.errors import did_you_mean

SPACE_HINT = "A ':' ends a key only before a space: {kind: x}, not {kind:x}."
_MAX_DEPTH = 4


def key_hint(root: type[Spec], path: Path, data: Any) -> str:
    """Propose a key instead of the unknown one at the end of `path`.

    Args:
        root: Class of the whole spec.
        path: The unknown key and what it is in.
        data: The whole spec before validation, which tells the classes by their `kind`.
    """
    specs = [root]
    for part in path[:-1]:
        specs = [
            below
            for spec in _chosen(specs, data)
            for below in (_specs_in(spec, part) if part in spec.model_fields else [spec])
        ]
        data = data[part]
    specs = _chosen(specs, data)
    known = sorted({name for spec in specs for name in spec.model_fields})
    key = str(path[-1])
    if ":" in key:
        return SPACE_HINT
    near = did_you_mean(key, known)
    if near:
        return near
    for spec in specs:
        for deeper in _paths_to(key, spec, data):
            return f"Did you mean '{dotted((*path[:-1], *deeper))}'?"
    return f"Known keys: {', '.join(known)}."


def _paths_to(key: str, spec: type[Spec], data: Any, depth: int = 0) -> Iterator[Path]:
    """Where below `spec` a field of that name is, level by level as far as the kinds are known."""
    children = [
        (name, below, _at(data, name))
        for name in spec.model_fields
        for below in _chosen(_specs_in(spec, name), _at(data, name))
    ]
    yield from ((name, key) for name, below, _ in children if key in below.model_fields)
    if depth < _MAX_DEPTH:
        for name, below, child in children:
            yield from ((name, *path) for path in _paths_to(key, below, child, depth + 1))


def _chosen(specs: list[type[Spec]], data: Any) -> list[type[Spec]]:
    """Put the member that the data names in the place of each family."""
    kind = str(_at(data, "kind"))
    return [spec.members.get(kind, spec) if issubclass(spec, Family) else spec for spec in specs]


def _at(data: Any, key: str) -> Any:
    return data.get(key) if is_mapping(data) else None


def _specs_in(spec: type[Spec], name: str | int) -> list[type[Spec]]:
    return list(_specs_of(spec.model_fields[str(name)].annotation))


def _specs_of(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for part in get_args(annotation):
        yield from _specs_of(part)
