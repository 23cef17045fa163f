"""Turn plain data into a spec, or into problems in plain words."""

import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from awlab.spec.base import Spec
from awlab.spec.document import Document, Path, has
from awlab.spec.errors import Problem, SpecError, did_you_mean, shown
from awlab.spec.known_keys import SPACE_HINT, key_hint

S = TypeVar("S", bound=Spec)

_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "a smaller integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_short": "text of {min_length} or more characters",
    "string_too_long": "text of {max_length} or fewer characters",
    "too_short": "a list of {min_length} or more items",
    "too_long": "a list of {max_length} or fewer items",
    "family_type": "a mapping with a 'kind', one of {kinds}",
}
"""What each type of pydantic's errors expects, to be read after "must be"."""

_STATEMENTS = frozenset({"value_error", "kind_missing", "kind_unknown"})
"""Types whose message is a sentence of our own."""


def validate(kind: type[S], document: Document) -> S:
    """Validate a document as a spec of class `kind`.

    Raises:
        SpecError: With all that is wrong, the problems that the document already has included.
    """
    try:
        spec = kind.model_validate(document.data)
    except ValidationError as error:
        problems = [*document.problems, *_problems(error, kind, document)]
        raise SpecError(sorted(problems, key=_place)) from None
    if document.problems:
        raise SpecError(document.problems)
    return spec


def _place(problem: Problem) -> tuple[float, int]:
    """Arguments of the command line come after what stands in the file."""
    return problem.line or math.inf, problem.column or 0


def _problems(error: ValidationError, kind: type[Spec], document: Document) -> Iterator[Problem]:
    """One problem per place: what the branches of a union expect is put together."""
    by_path: dict[Path, dict[str, ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        path = _path(details, document.data)
        by_path.setdefault(path, {})[details["type"]] = details
    for path, alternatives in by_path.items():
        yield _problem(path, list(alternatives.values()), kind, document)


def _path(details: ErrorDetails, data: Any) -> Path:
    """Path within the data; parts that name a branch of a union are left out."""
    path: Path = ()
    for part in details["loc"]:
        if has(data, part):
            data = data[part]
            path = (*path, part)
    last = details["loc"][-1] if details["loc"] else None
    if details["type"] == "missing" and isinstance(last, str):
        return (*path, last)
    return (*path, "kind") if details["type"] == "kind_unknown" else path


def _problem(
    path: Path, alternatives: list[ErrorDetails], kind: type[Spec], document: Document
) -> Problem:
    first = alternatives[0]
    if first["type"] == "missing" and isinstance(first["loc"][-1], str):
        return document.problem(path, "is missing", at_key=True)
    if first["type"] == "extra_forbidden":
        hint = key_hint(kind, path, document.data)
        return document.problem(path, "unknown key", hint=hint, at_key=True)
    about_mapping = isinstance(first["input"], dict) and first["type"] != "kind_unknown"
    at_key = about_mapping or "[key]" in first["loc"]
    hint = next((hint for details in alternatives if (hint := _hint(details))), "")
    return document.problem(path, _message(alternatives), hint=hint, at_key=at_key)


def _message(alternatives: list[ErrorDetails]) -> str:
    statements = [_statement(details) for details in alternatives if details["type"] in _STATEMENTS]
    expected = [
        _expected(details) for details in alternatives if details["type"] not in _STATEMENTS
    ]
    if expected:
        value = shown(alternatives[0]["input"])
        statements.append(f"must be {' or '.join(expected)}, not {value}")
    return "; ".join(statements)


def _statement(details: ErrorDetails) -> str:
    error = details.get("ctx", {}).get("error")
    return details["msg"] if error is None else str(error)


def _expected(details: ErrorDetails) -> str:
    if details["type"] == "missing":
        return f"a list of {int(details['loc'][-1]) + 1} or more items"
    template = _EXPECTED.get(details["type"])
    if template is None:
        return details["msg"].removeprefix("Input should be ")
    return template.format_map(details.get("ctx", {}))


def _hint(details: ErrorDetails) -> str:
    context: dict[str, Any] = details.get("ctx", {})
    value = details["input"]
    if details["type"] == "kind_unknown":
        return did_you_mean(context["kind"], context["allowed"])
    if details["type"] == "kind_missing" and any(str(key).startswith("kind:") for key in value):
        return SPACE_HINT
    if details["type"] == "family_type" and isinstance(value, str):
        near = did_you_mean(value, context["allowed"])
        return re.sub("'(.*)'", r"{kind: \1}", near)
    if details["type"] == "literal_error" and isinstance(value, str):
        return did_you_mean(value, re.findall(r"'([^']*)'", context["expected"]))
    if details["type"] == "string_type" and isinstance(value, bool | int | float):
        return "Text that looks like a number or a truth value needs quotes."
    return ""
