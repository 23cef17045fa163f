from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, field_validator

from awlab.spec.base import Family, Spec
from awlab.spec.document import Document
from awlab.spec.errors import Problem, SpecError
from awlab.spec.known_keys import SPACE_HINT
from awlab.spec.read_yaml import read_yaml
from awlab.spec.validation import validate


class Shape(Family):
    """Founds a family for these tests."""


class Circle(Shape):
    kind: Literal["circle"] = "circle"
    radius: float = Field(gt=0)


class Square(Shape):
    kind: Literal["square"] = "square"
    side: int = Field(default=1, ge=1, le=9)
    inner: Shape | None = None


class Leaf(Spec):
    flag: bool = True
    word: Literal["left", "right"] = "left"
    digit: Literal[1, 2] = 1
    text: str = "x"
    short: Annotated[str, Field(min_length=1, max_length=3)] = "x"
    matched: Annotated[str, Field(pattern="^a+$")] = "a"
    count: int = 1
    below: float = Field(default=0.5, lt=1)
    pair: Annotated[tuple[float, float], Field(strict=False)] = (1.0, 2.0)
    some: Annotated[tuple[int, ...], Field(strict=False, min_length=1, max_length=2)] = (1,)
    items: list[int] = Field(default=[])
    table: dict[Literal["a", "b"], int] = Field(default={})
    size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    shape: Shape = Square()

    @field_validator("count")
    @classmethod
    def _count_is_odd(cls, count: int) -> int:
        if count % 2 == 0:
            raise ValueError(f"count (={count}) must be odd")
        return count


class Root(Spec):
    name: str
    leaf: Leaf = Leaf()
    leaves: list[Leaf] = Field(default=[])
    either: Leaf | Annotated[int, Field(ge=1)] = 1


def problems(text: str, kind: type[Spec] = Leaf) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        validate(kind, read_yaml(text, "a.yaml"))
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flag: yes", "flag: must be true or false, not 'yes'"),
        ("word: up", "word: must be 'left' or 'right', not 'up'"),
        ("word: null", "word: must be 'left' or 'right', not null"),
        ("digit: 3", "digit: must be 1 or 2, not 3"),
        ("text: 5", "text: must be text, not 5"),
        ("text: {}", "text: must be text, not a mapping"),
        ("short: ''", "short: must be text of 1 or more characters, not ''"),
        ("short: abcd", "short: must be text of 3 or fewer characters, not 'abcd'"),
        ("matched: b", "matched: must be text that matches ^a+$, not 'b'"),
        ("count: '1'", "count: must be an integer, not '1'"),
        ("count: 1.5", "count: must be an integer, not 1.5"),
        ("count: 1.0", "count: must be an integer, not 1.0"),
        ("count: true", "count: must be an integer, not true"),
        ("count: 2", "count: count (=2) must be odd"),
        ("below: a", "below: must be a number, not 'a'"),
        ("below: 1", "below: must be less than 1.0, not 1"),
        ("below: .nan", "below: must be a finite number, not nan"),
        ("below: -.inf", "below: must be a finite number, not -inf"),
        ("pair: 1", "pair: must be a list, not 1"),
        ("pair: [1]", "pair: must be a list of 2 or more items, not [1]"),
        ("pair: []", "pair: must be a list of 2 or more items, not []"),
        ("pair: [1, 2, 3]", "pair: must be a list of 2 or fewer items, not [1, 2, 3]"),
        ("pair: [1, x]", "pair.1: must be a number, not 'x'"),
        ("some: []", "some: must be a list of 1 or more items, not []"),
        ("some: [1, 2, 3]", "some: must be a list of 2 or fewer items, not [1, 2, 3]"),
        ("items: {}", "items: must be a list, not a mapping"),
        ("items: [1, x]", "items.1: must be an integer, not 'x'"),
        ("table: [1]", "table: must be a mapping, not [1]"),
        ("table: {c: 1}", "table.c: must be 'a' or 'b', not 'c'"),
        ("table: {a: x}", "table.a: must be an integer, not 'x'"),
        ("size: x", "size: must be an integer or 'auto', not 'x'"),
        ("size: 0", "size: must be at least 1 or 'auto', not 0"),
        ("shape: 5", "shape: must be a mapping with a 'kind', one of circle, square, not 5"),
        ("shape: null", "shape: must be a mapping with a 'kind', one of circle, square, not null"),
        ("shape: {side: 1}", "shape: needs a 'kind', one of circle, square"),
        (
            "shape: {kind: [a]}",
            "shape.kind: no shape of kind ['a'], expected one of circle, square",
        ),
        ("shape: {kind: circle}", "shape.radius: is missing"),
        ("shape: {kind: circle, radius: 0}", "shape.radius: must be greater than 0.0, not 0"),
        ("shape: {kind: square, side: 10}", "shape.side: must be at most 9, not 10"),
        (
            "shape: {kind: square, inner: {kind: square, inner: {kind: circle, radius: x}}}",
            "shape.inner.inner.radius: must be a number, not 'x'",
        ),
        ("[1]", "must be a mapping, not [1]"),
    ],
)
def test_messages(text, message):
    (problem,) = problems(text)
    assert ": ".join(filter(None, [problem.path, problem.message])) == message


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("word: rrightt", "word", "Did you mean 'right'?"),
        ("shape: {kind: squaree}", "shape.kind", "Did you mean 'square'?"),
        ("shape: circle", "shape", "Did you mean {kind: circle}?"),
        ("shape: crcle", "shape", "Did you mean {kind: circle}?"),
        ("sizee: 1", "sizee", "Did you mean 'size'?"),
        ("shape: {kind: circle, radius: 1, raduis: 1}", "shape.raduis", "Did you mean 'radius'?"),
        ("table: {A: 1}", "table.A", "Did you mean 'a'?"),
        ("shape: {kind:circle}", "shape", SPACE_HINT),
        ("{flag:true}", "flag:true", SPACE_HINT),
        ("text: 1e3", "text", "Text that looks like a number or a truth value needs quotes."),
        ("text: true", "text", "Text that looks like a number or a truth value needs quotes."),
    ],
)
def test_hints(text, path, hint):
    (problem,) = problems(text)
    assert (problem.path, problem.hint) == (path, hint)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("leaf:\n  word: up", 2, 9),
        ("leaf: {sizee: 1}", 1, 8),
        ("leaf:\n  shape:\n    kind: circle", 2, 3),
        ("leaf: {shape: {kind: squar}}", 1, 22),
        ("leaf:\n  shape: {side: 1}", 2, 3),
        ("leaf: {table: {c: 1}}", 1, 16),
        ("leaves:\n- {}\n- word: up", 3, 9),
        ("leaves:\n- {}\n- shape: {kind: circle}", 3, 3),
    ],
)
def test_places(text, line, column):
    (problem,) = problems(f"{text}\nname: x", Root)
    assert (problem.line, problem.column) == (line, column)


def test_what_is_missing_stands_at_the_whole_when_that_lacks_it():
    (problem,) = problems("leaf: {}", Root)
    assert str(problem) == "a.yaml:1:1: name: is missing\n    1 | leaf: {}\n        ^"


def test_branches_of_a_union_of_classes_are_told_apart():
    found = problems("name: x\neither: {word: up}", Root)
    assert [problem.path for problem in found] == ["either", "either.word"]
    assert found[0].message == "must be an integer, not a mapping"


def test_all_problems_come_at_once_in_the_order_of_the_file():
    text = "leaf: {word: up}\nname: 1\nunknown: 1\nname: 2\nleaves: [1]\n"
    assert [(problem.line, problem.path) for problem in problems(text, Root)] == [
        (1, "leaf.word"),
        (3, "unknown"),
        (4, "name"),
        (4, "name"),
        (5, "leaves.0"),
    ]


def test_problems_of_a_valid_document_are_raised():
    document = Document({"name": "x"}, problems=[Problem("name", "duplicate key")])
    with pytest.raises(SpecError, match="name: duplicate key"):
        validate(Root, document)


def test_no_jargon():
    text = "flag: 1\nword: 1\ntext: 1\ncount: a\npair: a\ntable: a\nsize: a\nshape: {kind: circle}"
    said = "\n".join(map(str, problems(text)))
    for jargon in ("pydantic", "Input should", "https:", "literal[", "valid dictionary", "Field "):
        assert jargon not in said


def test_a_founder_of_a_family_is_validated_by_kind():
    spec: Any = validate(Shape, Document({"kind": "circle", "radius": 1}))
    assert spec == Circle(radius=1.0)
    with pytest.raises(SpecError, match=r"^kind: no shape of kind 'x', expected one of circle"):
        validate(Shape, Document({"kind": "x"}))
