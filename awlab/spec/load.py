"""From a YAML file and arguments to a spec, and back."""

import difflib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from awlab.spec.base import Spec
from awlab.spec.document import Document, is_mapping
from awlab.spec.errors import Problem, SpecError
from awlab.spec.experiment import Experiment
from awlab.spec.overrides import override
from awlab.spec.plugins import import_plugins
from awlab.spec.read_yaml import read_yaml
from awlab.spec.validation import S, validate
from awlab.spec.write_yaml import write_yaml

MAX_BYTES = 2**20
_OF_ABLATIONS = {"axes", "base", "baseline"}
_OF_EXPERIMENTS = {"model", "data", "training"}
_MOST_NAMES = 1000
"""Files of a folder among which a misspelt one is looked for."""


def load_experiment(path: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """Load an experiment; its plugins are imported first.

    Args:
        path: A YAML file.
        overrides: Arguments such as `training.epochs=5`.

    Raises:
        SpecError: With everything that is wrong.
    """
    return load(path, overrides, Experiment)


def load(path: Path | str, overrides: Sequence[str], kind: type[S]) -> S:
    """Load a spec of any class, as `load_experiment` does."""
    document = read_document(path)
    if kind is Experiment and means_ablation(document):
        hint = "`awlab ablate` executes ablations."
        raise _refusal(Path(path), "is an ablation; expected an experiment", hint)
    override(document, overrides)
    import_plugins(document)
    return validate(kind, document)


def means_ablation(document: Document) -> bool:
    """Say whether a document means to describe an ablation, rather than an experiment."""
    return is_mapping(document.data) and not _OF_ABLATIONS.isdisjoint(document.data)


def means_experiment(document: Document) -> bool:
    """Say whether a document means to describe an experiment, rather than an ablation."""
    if means_ablation(document) or not is_mapping(document.data):
        return False
    return not _OF_EXPERIMENTS.isdisjoint(document.data)


def parse(kind: type[S], data: Any) -> S:
    """Validate data that is already in memory; problems then have a path but no place in a file.

    Raises:
        SpecError: With everything that is wrong.
    """
    return validate(kind, Document(data))


def dump(spec: Spec) -> str:
    """Return YAML text that loads back to an equal spec; all defaults are written out."""
    return write_yaml(spec.model_dump(mode="json"))


def read_document(path: Path | str) -> Document:
    """Read a YAML file of at most `MAX_BYTES`, without validating it as a spec.

    Raises:
        SpecError: When it cannot be read, or is not one YAML document.
    """
    return read_yaml(_text(Path(path)), str(path))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _refusal(path, "no such file", _near_file(path)) from None
    except IsADirectoryError:
        raise _refusal(path, "is a folder, expected a YAML file") from None
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise _refusal(path, f"not a path: {error}") from None
    if len(content) > MAX_BYTES:
        raise _refusal(path, f"is larger than {MAX_BYTES} bytes, the most that a spec may have")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not a text in UTF-8 (byte 0x{content[error.start]:02x} at {error.start})"
        raise _refusal(path, message) from None


def _near_file(path: Path) -> str:
    try:
        beside = islice(path.parent.iterdir(), _MOST_NAMES)
        names = [file.name for file in beside if file.is_file()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean '{path.with_name(near[0])}'?" if near else ""


def _refusal(path: Path, message: str, hint: str = "") -> SpecError:
    return SpecError([Problem("", message, str(path), hint=hint)])
