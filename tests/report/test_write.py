import json
from collections.abc import Callable
from pathlib import Path

import pytest

from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report.write import FILES, write_report
from awlab.spec.errors import InputError

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]


def test_every_format_has_its_file(make_plan: MakePlan, finish: Finish, tmp_path: Path) -> None:
    for run in make_plan().runs:
        finish(run, 10.0)
    paths = write_report(make_plan(), folder=tmp_path / "out")
    assert list(paths) == ["md", "csv", "latex", "json", "html"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES.values())
    assert paths["md"].read_text().startswith("Table: study: test/top1")
    assert paths["latex"].read_text().startswith("% \\usepackage{booktabs}")
    assert paths["csv"].read_text().startswith("cell,")
    assert json.loads(paths["json"].read_text())["title"] == "study"
    assert paths["html"].read_text().startswith("<!doctype html>")


def test_the_folder_of_the_study_is_the_default(make_plan: MakePlan, tmp_path: Path) -> None:
    (path,) = write_report(make_plan(), ["md"]).values()
    assert path == tmp_path / "studies" / "study" / "report" / "results.md"


def test_an_unknown_format_is_named_before_anything_is_written(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    message = (
        "unknown format 'htm'; expected one of md, csv, latex, json, html. Did you mean 'html'"
    )
    with pytest.raises(InputError, match=message):
        write_report(make_plan(), ["md", "htm"])
    assert not (tmp_path / "studies").exists()


def test_a_folder_that_cannot_be_written(make_plan: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"cannot write the report to .*file/out: .*; choose another folder with --out FOLDER"
    with pytest.raises(InputError, match=message):
        write_report(make_plan(), ["md"], tmp_path / "file" / "out")
