"""Turn plain data into a spec, or into problems in plain words."""

import re
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from awlab.spec.base import Family, Spec
from awlab.spec.document import Document, Path
from awlab.spec.errors import Problem, SpecError, did_you_mean

S = TypeVar("S", bound=Spec)

_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
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
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "a list of at least {min_length} items",
    "too_long": "a list of at most {max_length} items",
    "kind_missing": "a mapping with a 'kind', one of {kinds}",
}


def validate(kind: type[S], document: Document) -> S:
    """Validate a document as a spec of that class.

    Raises:
        SpecError: With all that is wrong, the problems that the document already has included.
    """
    try:
        spec = kind.model_validate(document.data)
    except ValidationError as error:
        raise SpecError([*document.problems, *_problems(error, kind, document)]) from None
    if document.problems:
        raise SpecError(document.problems)
    return spec


def _problems(error: ValidationError, kind: type[Spec], document: Document) -> Iterator[Problem]:
    by_path: dict[Path, dict[str, ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        path = _data_path(details, document.data)
        by_path.setdefault(path, {})[details["type"]] = details
    for path, alternatives in by_path.items():
        yield _problem(path, alternatives, kind, document)


def _data_path(details: ErrorDetails, data: Any) -> Path:
    """Leave out what names a branch of a union, not a key or an index of the data."""
    path: Path = ()
    for part in details["loc"]:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path = (*path, part)
    if details["type"] == "missing" and isinstance(details["loc"][-1], str):
        return (*path, details["loc"][-1])
    return (*path, "kind") if details["type"] == "kind_unknown" else path


def _problem(
    path: Path, alternatives: dict[str, ErrorDetails], kind: type[Spec], document: Document
) -> Problem:
    if "missing" in alternatives and isinstance(path[-1], str):
        return document.problem(path, "is required but missing", at_key=True)
    if "extra_forbidden" in alternatives:
        known = _known_keys(kind, path, document.data)
        hint = did_you_mean(path[-1], known) or f"Known keys: {', '.join(known)}."
        return document.problem(path, "unknown key", hint=hint, at_key=True)
    first = next(iter(alternatives.values()))
    at_key = isinstance(first["input"], dict) or "[key]" in first["loc"]
    hint = next(filter(None, map(_hint, alternatives.values())), "")
    return document.problem(path, _message(alternatives), hint=hint, at_key=at_key)


def _message(alternatives: dict[str, ErrorDetails]) -> str:
    statements = [text for details in alternatives.values() if (text := _statement(details))]
    expected = [text for details in alternatives.values() if (text := _expected(details))]
    if expected:
        value = next(iter(alternatives.values()))["input"]
        statements.append(f"must be {' or '.join(expected)}, not {_shown(value)}")
    return "; ".join(statements)


def _statement(details: ErrorDetails) -> str:
    """What a validator of ours said in its own words."""
    if details["type"] == "value_error":
        return str(details.get("ctx", {})["error"])
    return details["msg"] if details["type"] == "kind_unknown" else ""


def _expected(details: ErrorDetails) -> str:
    if _statement(details):
        return ""
    if details["type"] == "missing":
        return f"a list of at least {int(details['loc'][-1]) + 1} items"
    if details["type"] in _EXPECTED:
        return _EXPECTED[details["type"]].format_map(details.get("ctx", {}))
    return details["msg"].removeprefix("Input should be ")


def _hint(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "kind_unknown":
        return did_you_mean(context["kind"], context["allowed"])
    if details["type"] == "kind_missing" and details["input"] in context["allowed"]:
        return f"Did you mean '{{kind: {details['input']}}}'?"
    if details["type"] == "literal_error" and isinstance(details["input"], str):
        return did_you_mean(details["input"], re.findall(r"'([^']*)'", context["expected"]))
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _known_keys(kind: type[Spec], path: Path, data: Any) -> list[str]:
    """Names of the fields beside the last part of `path`."""
    specs = [kind]
    for part in path[:-1]:
        below = [
            spec
            for parent in _chosen(specs, data)
            if part in parent.model_fields
            for spec in _specs(parent.model_fields[str(part)].annotation)
        ]
        specs = below or specs
        data = data[part]
    return sorted({name for spec in _chosen(specs, data) for name in spec.model_fields})


def _chosen(specs: list[type[Spec]], data: Any) -> list[type[Spec]]:
    kind = data.get("kind") if isinstance(data, dict) else None
    return [
        spec.members.get(str(kind), spec) if issubclass(spec, Family) else spec for spec in specs
    ]


def _specs(annotation: Any) -> list[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    return [spec for part in get_args(annotation) for spec in _specs(part)]
