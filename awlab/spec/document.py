"""Plain data that remembers where each value is written."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from awlab.spec.errors import Problem

Path = tuple[str | int, ...]
"""Keys and list indices from the root to a value."""


class Mark(NamedTuple):
    """A place in a text; lines and columns are counted from 1, and none for an argument."""

    file: str
    line: int | None = None
    column: int | None = None
    source_line: str = ""


@dataclass
class Document:
    """A spec before validation: mappings, lists and scalars, with the place of each.

    Attributes:
        data: What was written.
        keys: Where the key of each member of a mapping stands.
        values: Where each value begins.
        problems: What is already known to be wrong.
    """

    data: Any
    keys: dict[Path, Mark] = field(default_factory=dict[Path, Mark])
    values: dict[Path, Mark] = field(default_factory=dict[Path, Mark])
    problems: list[Problem] = field(default_factory=list[Problem])

    def problem(self, path: Path, message: str, *, hint: str = "", at_key: bool = False) -> Problem:
        """Describe what is wrong with the value at `path`, or with its key."""
        mark = self._nearest(path, at_key=at_key)
        return Problem(
            dotted(path), message, mark.file, mark.line, mark.column, mark.source_line, hint
        )

    def _nearest(self, path: Path, *, at_key: bool) -> Mark:
        for length in range(len(path), -1, -1):
            prefix = path[:length]
            mark = (at_key and self.keys.get(prefix)) or self.values.get(prefix)
            if mark:
                return mark
        return Mark("")


def is_mapping(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value is a mapping; YAML's keys are text."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether a value is a list."""
    return isinstance(value, list)


def has(value: Any, part: str | int) -> bool:
    """Whether a value is a mapping with that key or a list with that index."""
    if is_mapping(value):
        return part in value
    return is_list(value) and isinstance(part, int) and part < len(value)


def dotted(path: Path) -> str:
    """Return the path as it is written in overrides and errors."""
    return ".".join(map(str, path))
