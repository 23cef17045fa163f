import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awlab.cli import app
from awlab.plan import load_ablation, plan
from awlab.record.record import Epoch, Result, write_result
from awlab.record.run_directory import RunDirectory

ROOT = Path(__file__).parents[2]
STUDY = """\
name: small
base:
  name: small
  model: {kind: resnet, depth: 18, width: 2, stem: cifar}
  data: {kind: digits}
  training: {epochs: 1, batch_size: 8, optimizer: {kind: sgd, lr: 0.1}}
axes: {conv: {path: model.conv, values: {plain: null, aw: {kind: aw}}}}
baseline: plain
seeds: 2
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunDirectory]:
    """The run directories of a finished study in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(STUDY)
    directories: list[RunDirectory] = []
    for run in plan(load_ablation("small.yaml")).runs:
        run.directory.create(run.experiment)
        error = 10.0 + run.seed + (run.cell == "aw")
        epoch = Epoch(0, {"val/top1_error": error})
        result = Result(
            run.id, run.experiment.name, {"test/top1_error": error}, 0, epoch, epoch, 1, 1, 1000,
            0.1, 1.0, 10.0, 1000, 1,
        )  # fmt: skip
        write_result(run.directory, result)
        directories.append(run.directory)
    return directories


def invoke(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_report_writes_what_is_asked_for(study: list[RunDirectory]) -> None:
    code, out, _ = invoke("report", "small.yaml", "--format", "md,html", "--out", "out")
    assert (code, out.split()) == (0, ["out/results.md", "out/index.html"])
    assert "aw" in Path("out/results.md").read_text()
    code, out, _ = invoke("report", "small.yaml", "--format", "json", "--json")
    assert json.loads(out) == {"json": "studies/small/report/results.json"}


def test_report_of_an_unknown_format(study: list[RunDirectory]) -> None:
    code, _, error = invoke("report", "small.yaml", "--format", "htm")
    assert code == 2
    assert "unknown format 'htm'" in error


def test_diff_of_two_runs(study: list[RunDirectory]) -> None:
    folders = [str(directory.path) for directory in (study[0], study[-1])]
    code, out, _ = invoke("diff", *folders)
    assert code == 0
    assert "model.conv" in out
    found = json.loads(invoke("diff", *folders, "--json")[1])
    assert {row["name"] for row in found["spec"]} >= {"model.conv", "seed"}


def test_reproduce_a_table_that_was_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code, out, _ = invoke("reproduce", "table2", "base.runtime.root=nowhere", "--json")
    assert code == 0
    rows = json.loads(out)
    assert len(rows) == 11
    assert {row["error"]["agreement"] for row in rows} == {"not run here"}
    parameters = [
        cost for row in rows for cost in row["costs"] if cost["quantity"] == "parameters_m"
    ]
    assert {cost["verdict"] for cost in parameters} == {"match"}
