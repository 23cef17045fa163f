"""Read YAML by the core schema of YAML 1.2, and know where each value stands.

PyYAML parses; its scalars (`no` a boolean, `1e-3` a string, `12:30` a number), its tags and its
silence about duplicate keys are not used.
"""

import copy
import re
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import yaml

from awlab.spec.document import Document, Mark, Path, dotted, is_list, is_mapping
from awlab.spec.errors import Problem, SpecError

MAX_NODES = 20_000
MAX_DEPTH = 40

Scalar: TypeAlias = bool | int | float | str | None

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PLAIN_WORDS = {
    "mapping values are not allowed in this context": "a ':' is not allowed here",
    "found character that cannot start any token": "this character cannot begin a value",
    "could not find expected ':'": "a ':' is missing after the key",
}
_NESTED = f"is nested more than {MAX_DEPTH} levels deep"
_TOO_DEEP = "exceeded maximum nesting depth"
"""What libyaml says where it gives up before a level too many is told of."""


def scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar (YAML 1.2.2, section 10.3.2).

    Raises:
        ValueError: When it is an integer of more digits than Python converts.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text


def read_yaml(text: str, file: str) -> Document:
    """Read the one document of a YAML text.

    Args:
        text: What `file` contains.
        file: Name for errors.

    Raises:
        SpecError: When the text is not YAML, is empty, holds more than one document, tags or merge
            keys, or is larger or deeper than a spec may be. Duplicate keys are not raised but
            noted in the problems of the document, so that they come together with all others.
    """
    return _Reader(text, file).read()


class _Reader:
    """Builds plain data from the events of one text."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = _LINE_BREAK.split(text)
        self.events: Iterator[Any] = cast(Any, yaml).parse(text, Loader=_PARSER)
        self.document = Document(None)
        self.anchors: dict[str, Any] = {}
        self.nodes = 0

    def read(self) -> Document:
        wrong = _NOT_TEXT.search(self.text)
        if wrong:
            raise SpecError([self._not_text(wrong)])
        try:
            self._stream()
        except yaml.MarkedYAMLError as error:
            raise SpecError([self._syntax_problem(error)]) from None
        return self.document

    def _stream(self) -> None:
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise SpecError([Problem("", "is empty", self.file)])
        self.document.data = self._node(next(self.events), ())
        next(self.events)
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._refusal(event, (), "a second document begins here, expected only one")

    def _node(self, event: Any, path: Path) -> Any:
        self.document.values[path] = self._mark(event.start_mark)
        self._count(event, path, nodes=1, depth=1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if event.tag is not None:
            raise self._refusal(event, path, f"tags ({event.tag}) are not allowed")
        if isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(path)
        else:
            value = self._scalar(event, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = value
        return value

    def _mapping(self, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._key(event, path)
            child = (*path, key)
            mark = self._mark(event.start_mark)
            if key in mapping:
                self._note_duplicate(child, mark)
            self.document.keys[child] = mark
            mapping[key] = self._node(next(self.events), child)
        return mapping

    def _key(self, event: Any, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise self._refusal(event, path, "a key must be plain text")
        if event.value == "<<" and event.implicit[0]:
            raise self._refusal(event, path, "merge keys (<<) are not allowed, write the keys out")
        return event.value

    def _note_duplicate(self, path: Path, mark: Mark) -> None:
        first = self.document.keys[path].line
        message = f"duplicate key, already given in line {first}"
        self.document.problems.append(Problem(dotted(path), message, *mark))

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _scalar(self, event: Any, path: Path) -> Scalar:
        if not event.implicit[0]:
            return event.value
        try:
            return scalar(event.value)
        except ValueError:
            message = f"an integer of {len(event.value)} digits is too long"
            raise self._refusal(event, path, message) from None

    def _alias(self, event: Any, path: Path) -> Any:
        if event.anchor not in self.anchors:
            message = (
                f"the alias *{event.anchor} stands for nothing, no &{event.anchor} is above it"
            )
            raise self._refusal(event, path, message)
        value = self.anchors[event.anchor]
        nodes, depth = _size(value)
        self._count(event, path, nodes=nodes - 1, depth=depth)
        return copy.deepcopy(value)

    def _count(self, event: Any, path: Path, *, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            message = f"holds more than {MAX_NODES} values, those behind aliases counted each time"
            raise self._refusal(event, (), message)
        if len(path) + depth > MAX_DEPTH:
            raise self._refusal(event, (), _NESTED)

    def _mark(self, at: Any) -> Mark:
        source_line = self.lines[at.line] if at.line < len(self.lines) else ""
        return Mark(self.file, at.line + 1, at.column + 1, source_line)

    def _refusal(self, event: Any, path: Path, message: str) -> SpecError:
        return SpecError([Problem(dotted(path), message, *self._mark(event.start_mark))])

    def _not_text(self, wrong: re.Match[str]) -> Problem:
        before = _LINE_BREAK.split(self.text[: wrong.start()])
        message = f"the character U+{ord(wrong.group()):04X} cannot be part of a text"
        return Problem("", message, self.file, len(before), len(before[-1]) + 1)

    def _syntax_problem(self, error: yaml.MarkedYAMLError) -> Problem:
        at = error.problem_mark or error.context_mark
        said = error.problem or "this cannot be read"
        message = f"not valid YAML: {_PLAIN_WORDS.get(said, said)}"
        if said == _TOO_DEEP:
            message = _NESTED
        return Problem("", message, *(self._mark(at) if at else Mark(self.file)))


def _size(value: Any) -> tuple[int, int]:
    """Number of values within a value, itself included, and levels of nesting."""
    children = list(value.values()) if is_mapping(value) else value
    if not is_list(children):
        return 1, 1
    sizes = [_size(child) for child in children]
    return 1 + sum(nodes for nodes, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)
