"""One character and a colour for each state of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True)
class Sign:
    """How a state is shown.

    Attributes:
        character: On terminals that can show it.
        plain: On those that show ASCII only.
        style: Of rich.
    """

    character: str
    plain: str
    style: str

    def on(self, console: Console) -> str:
        """The character that a console can show."""
        try:
            self.character.encode(console.encoding)
        except (UnicodeError, LookupError):
            return self.plain
        return self.character


SIGNS: Mapping[str, Sign] = {
    "finished": Sign("\N{CHECK MARK}", "+", "green"),
    "running": Sign("\N{BLACK RIGHT-POINTING TRIANGLE}", ">", "cyan"),
    "interrupted": Sign("\N{DOUBLE VERTICAL BAR}", "=", "yellow"),
    "failed": Sign("\N{BALLOT X}", "x", "red"),
    "missing": Sign("\N{MIDDLE DOT}", ".", "dim"),
}
"""In the order of a legend."""
