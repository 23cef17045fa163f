"""`key=value` arguments that change plain data before it is validated."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from awlab.spec.document import Document, Mark, Path, dotted, has, is_list, is_mapping
from awlab.spec.errors import COMMAND_LINE, Problem, SpecError, shown
from awlab.spec.read_yaml import read_yaml

_KEY = re.compile(r"[\w-]+(\.[\w-]+)*")
_INDEX = re.compile(r"[0-9]{1,6}")


class _Override(NamedTuple):
    argument: str
    keys: tuple[str, ...]
    value: Any


def override(document: Document, arguments: Sequence[str]) -> None:
    """Apply arguments such as `training.epochs=5` or `model.conv={kind: aw}`, in their order.

    A value follows the rules of YAML 1.2; none means null. Mappings that are missing on the way
    are made. What cannot be applied changes nothing and is noted in the problems of the document.
    """
    applied: list[_Override] = []
    for argument in arguments:
        try:
            change = _parse(argument)
            _refuse_undoing(change, applied)
            _apply(document, change)
            applied.append(change)
        except SpecError as error:
            document.problems.extend(error.problems)


def _parse(argument: str) -> _Override:
    key, equals, text = argument.partition("=")
    if not equals or not _KEY.fullmatch(key):
        raise _refusal(argument, "", "expected key=value with a key such as training.epochs")
    try:
        document = read_yaml(text if text.strip() else "null", COMMAND_LINE)
    except SpecError as error:
        hint = "An argument with spaces needs quotes around it." if text[0] in "{[" else ""
        raise _refusal(argument, key, error.problems[0].message, hint) from None
    if document.problems:
        twice = document.problems[0]
        raise _refusal(argument, f"{key}.{twice.path}", "duplicate key")
    return _Override(argument, tuple(key.split(".")), document.data)


def _refuse_undoing(change: _Override, applied: list[_Override]) -> None:
    for earlier in applied:
        if earlier.keys[: len(change.keys)] == change.keys:
            message = f"would undo {earlier.argument}, which is given before it"
            raise _refusal(change.argument, ".".join(change.keys), message)


def _apply(document: Document, change: _Override) -> None:
    parent: Any = document.data
    path: Path = ()
    keys = list(change.keys)
    while True:
        part = _part(parent, keys.pop(0), path, change.argument)
        path = (*path, part)
        child = parent[part] if has(parent, part) else None
        if not keys or child is None:
            break
        parent = child
    value = change.value
    for key in reversed(keys):
        value = {key: value}
    parent[part] = value
    _mark(document, path, Mark(COMMAND_LINE, source_line=change.argument))


def _part(parent: Any, key: str, above: Path, argument: str) -> str | int:
    """Key or index of the child that `key` means in `parent`."""
    if is_mapping(parent):
        return key
    where = dotted(above) or "the document"
    path = dotted((*above, key))
    if not is_list(parent):
        raise _refusal(argument, path, f"{where} is {shown(parent)}, which has no {key!r}")
    length = len(parent)
    if not _INDEX.fullmatch(key) or int(key) >= length:
        message = f"{where} is a list of {length}, expected an index below that, not {key!r}"
        raise _refusal(argument, path, message)
    return int(key)


def _mark(document: Document, path: Path, mark: Mark) -> None:
    for marks in (document.keys, document.values):
        for below in [known for known in marks if known[: len(path)] == path]:
            del marks[below]
        marks[path] = mark


def _refusal(argument: str, path: str, message: str, hint: str = "") -> SpecError:
    return SpecError([Problem(path, message, COMMAND_LINE, source_line=argument, hint=hint)])
