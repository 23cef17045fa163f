"""Reports as files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from awlab.plan import Plan
from awlab.record.run_directory import write_atomically
from awlab.record.study_directory import StudyDirectory
from awlab.report.collect import collect
from awlab.report.page import render
from awlab.report.results import Results
from awlab.report.tables import FORMATS
from awlab.spec.errors import InputError, did_you_mean

FILES: Mapping[str, str] = {
    "md": "results.md",
    "csv": "results.csv",
    "latex": "results.tex",
    "json": "results.json",
    "html": "index.html",
}
"""Format to the name of its file."""


def write_report(
    plan: Plan, formats: Sequence[str] = tuple(FILES), folder: Path | None = None
) -> dict[str, Path]:
    """Write what a study shows.

    Args:
        plan: The study; its runs need not be finished.
        formats: Of `FILES`.
        folder: Takes the files; by default `report` in the folder of the study.

    Returns:
        Format to file.

    Raises:
        InputError: When a format is unknown, no finished run has the metric of the study, or the
            folder cannot be written.
    """
    for name in formats:
        if name not in FILES:
            hint = did_you_mean(name, FILES)
            raise InputError(
                f"unknown format {name!r}; expected one of {', '.join(FILES)}. {hint}".rstrip()
            )
    folder = folder or StudyDirectory.of(plan.ablation).report
    results = collect(plan)
    paths = {name: folder / FILES[name] for name in formats}
    try:
        for name, path in paths.items():
            write_atomically(path, _writer(name, plan)(results))
    except OSError as error:
        raise InputError(
            f"cannot write the report to {folder}: {error.strerror or error}; choose another "
            "folder with --out FOLDER"
        ) from error
    return paths


def _writer(name: str, plan: Plan) -> Callable[[Results], str]:
    return FORMATS[name] if name in FORMATS else lambda results: render(plan, results)
