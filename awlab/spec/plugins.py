"""Import the modules that add kinds."""

import importlib
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from awlab.spec.base import MODULE_NAME
from awlab.spec.document import Document, is_list, is_mapping
from awlab.spec.errors import SpecError

_WHERE = (("plugins",), ("base", "plugins"))
"""Of an experiment, and of the experiment within an ablation."""


def import_plugins(document: Document) -> None:
    """Import the modules that a document names under `plugins`, before it is validated.

    Modules of the working directory are found, as under `python -m`. What is not the name of a
    module is left to validation.

    Raises:
        SpecError: When an import fails.
    """
    named = [
        ((*path, index), name)
        for path in _WHERE
        for index, name in enumerate(_list_at(document.data, path))
        if isinstance(name, str) and re.fullmatch(MODULE_NAME, name)
    ]
    if not named:
        return
    _find_modules_in(Path.cwd())
    causes = [(path, name, _failure(name)) for path, name in named]
    problems = [
        document.problem(path, f"the plugin {name!r} cannot be imported: {cause}")
        for path, name, cause in causes
        if cause
    ]
    if problems:
        raise SpecError([*document.problems, *problems])


def _list_at(data: Any, path: tuple[str, ...]) -> list[Any]:
    for key in path:
        data = data.get(key) if is_mapping(data) else None
    return data if is_list(data) else []


def _find_modules_in(directory: Path) -> None:
    if not {"", str(directory)} & set(sys.path):
        sys.path.insert(0, str(directory))
    importlib.invalidate_caches()


def _failure(name: str) -> str:
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 a plugin may raise anything
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(f"{type(error).__name__}: {error}".split())
        inside = "importlib" not in frame.filename
        return f"{text} ({Path(frame.filename).name}, line {frame.lineno})" if inside else text
    return ""
