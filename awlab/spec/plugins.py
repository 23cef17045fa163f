"""Import the modules that add kinds."""

import importlib
import re
import sys
import traceback
from pathlib import Path

from awlab.spec.document import Document
from awlab.spec.errors import Problem, SpecError

MODULE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"


def import_plugins(document: Document) -> None:
    """Import the modules that a document names under `plugins`.

    The working directory can be imported from, as under `python -m`. Names that are not names of
    modules are left to validation.

    Raises:
        SpecError: When an import fails.
    """
    data = document.data
    plugins = data.get("plugins") if isinstance(data, dict) else None
    if not isinstance(plugins, list) or not plugins:
        return
    _import_from(Path.cwd())
    failures = [
        _failure(document, index, name)
        for index, name in enumerate(plugins)
        if isinstance(name, str) and re.fullmatch(MODULE_NAME, name)
    ]
    problems = [problem for problem in failures if problem is not None]
    if problems:
        raise SpecError([*document.problems, *problems])


def _import_from(directory: Path) -> None:
    if "" not in sys.path and str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    importlib.invalidate_caches()


def _failure(document: Document, index: int, name: str) -> Problem | None:
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        cause = traceback.format_exception_only(error)[-1].strip()
        message = f"the plugin {name!r} cannot be imported: {cause}"
        return document.problem(("plugins", index), message)
    return None
