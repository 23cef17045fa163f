"""What is wrong with a spec, where, and what would be right."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

COMMAND_LINE = "command line"
_WIDTH = 100
"""Most characters of a source line that are shown."""
_LONG = 60
"""Most characters of a value that are shown."""
_MANY = 50
"""Most problems that are shown."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Dotted path of the value within the spec; empty for the whole.
        message: What is wrong, the value, what is allowed.
        file: Where the value is written: a file, or `COMMAND_LINE`; empty when nowhere.
        line: Counted from 1; none for an argument of the command line.
        column: Counted from 1.
        source_line: The text of that line, or the argument.
        hint: A proposal, a whole sentence.
    """

    path: str
    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    source_line: str = ""
    hint: str = ""

    def __str__(self) -> str:
        head = ": ".join(part for part in (self._place(), self._label(), self.message) if part)
        text = f"{head}. {self.hint}" if self.hint else head
        return "\n".join([text, *self._excerpt()])

    def _place(self) -> str:
        if self.file == COMMAND_LINE:
            return f"{self.file}: {self.source_line}"
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)

    def _label(self) -> str:
        said = self.file == COMMAND_LINE and self.source_line.startswith(f"{self.path}=")
        return "" if said else self.path

    def _excerpt(self) -> list[str]:
        if self.line is None or self.column is None or not self.source_line.strip():
            return []
        start = max(0, self.column - _WIDTH * 3 // 4)
        number = f"    {self.line} | "
        before = " " * len(number) + re.sub(
            r"[^\t]", " ", self.source_line[start : self.column - 1]
        )
        return [number + self.source_line[start : start + _WIDTH], before + "^"]


class InputError(ValueError):
    """Something that a user gave and can mend; the message is the whole story (exit code 2)."""


class SpecError(InputError):
    """A spec that cannot be read, with everything that is wrong with it.

    Args:
        problems: At least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        assert problems
        super().__init__(list(problems))
        self.problems = list(problems)

    def __str__(self) -> str:
        said = [str(problem) for problem in self.problems[:_MANY]]
        more = len(self.problems) - len(said)
        return "\n".join([*said, f"... and {more} more problems"] if more else said)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the known word that is nearest to `word`, or nothing.

    Nearest is the most similar spelling, else one that begins with `word`.
    """
    by_lower = {name.lower(): name for name in known}
    lower = str(word).lower()
    near = difflib.get_close_matches(lower, by_lower, n=1)
    if not near and len(lower) > 1:
        near = [name for name in by_lower if name.startswith(lower)]
    return f"Did you mean '{by_lower[near[0]]}'?" if near else ""


def shown(value: Any) -> str:
    """Return a value as an error names it: scalars as in YAML, mappings and long lists by kind."""
    if isinstance(value, dict):
        return "a mapping"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    if len(text) <= _LONG:
        return text
    return "a list" if isinstance(value, list | tuple) else f"{text[: _LONG - 3]}..."
