"""`key=value` arguments that change plain data before it is validated."""

import re
from collections.abc import Sequence
from typing import Any

from awlab.spec import yaml
from awlab.spec.document import Document, Mark, Path, dotted
from awlab.spec.errors import COMMAND_LINE, Problem, SpecError

_KEY = re.compile(r"[A-Za-z_][\w-]*(\.([A-Za-z_][\w-]*|[0-9]+))*")


def override(document: Document, arguments: Sequence[str]) -> None:
    """Apply arguments such as `training.epochs=5` or `model.conv={kind: aw}` in their order.

    Missing mappings on the way are made. What cannot be applied is noted in the problems of the
    document.
    """
    applied: dict[Path, str] = {}
    for argument in arguments:
        try:
            path, value = _split(argument)
            _refuse_ignored(path, argument, applied)
            _Override(document, argument).apply(path, value)
        except SpecError as error:
            document.problems.extend(error.problems)
        else:
            applied[path] = argument


def _split(argument: str) -> tuple[Path, Any]:
    key, equals, text = argument.partition("=")
    if not equals or not _KEY.fullmatch(key):
        raise _refusal(argument, (), "expected key=value, with a key such as training.epochs")
    path = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
    try:
        return path, yaml.read(text or "null", COMMAND_LINE).data
    except SpecError as error:
        raise _refusal(argument, path, error.problems[0].message) from None


def _refuse_ignored(path: Path, argument: str, applied: dict[Path, str]) -> None:
    for earlier, text in applied.items():
        if earlier[: len(path)] == path:
            raise _refusal(argument, path, f"would undo {text!r}, which stands before it")


def _refusal(argument: str, path: Path, message: str) -> SpecError:
    problem = Problem(dotted(path), message, COMMAND_LINE, source_line=argument)
    return SpecError([problem])


class _Override:
    """Sets one value, and marks the argument as its place."""

    def __init__(self, document: Document, argument: str) -> None:
        self.document = document
        self.argument = argument

    def apply(self, path: Path, value: Any) -> None:
        parent = self.document.data
        for depth, part in enumerate(path[:-1]):
            self._check(parent, path[: depth + 1])
            if isinstance(parent, dict) and parent.get(part) is None:
                self._set(parent, path[: depth + 1], {})
            parent = parent[part]
        self._check(parent, path)
        self._set(parent, path, value)

    def _check(self, parent: Any, path: Path) -> None:
        *above, part = path
        if isinstance(parent, dict) and isinstance(part, str):
            return
        where = dotted(tuple(above)) or "the whole"
        if not isinstance(parent, list):
            raise _refusal(self.argument, path, f"{where} is {parent!r} and has no {part!r}")
        if not isinstance(part, int) or part >= len(parent):
            items = f"{where} is a list of {len(parent)}, expected an index below that"
            raise _refusal(self.argument, path, f"{items}, not {part!r}")

    def _set(self, parent: Any, path: Path, value: Any) -> None:
        parent[path[-1]] = value
        for marks in (self.document.keys, self.document.values):
            for old in [known for known in marks if known[: len(path)] == path]:
                del marks[old]
            marks[path] = Mark(COMMAND_LINE, source_line=self.argument)
