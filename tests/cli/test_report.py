import html
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from awlab.cli import app, launch
from awlab.plan import load_ablation, plan
from awlab.record.record import Epoch, Result, write_result
from awlab.record.run_directory import RunDirectory
from awlab.spec.experiment import Experiment
from awlab.train import fit as fitting

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


def nothing_finished(runs: list[RunDirectory]) -> None:
    for run in runs:
        run.result.unlink()


def failed_baseline(runs: list[RunDirectory]) -> None:
    for run in runs[:2]:
        run.result.unlink()
        run.fail("diverged", "the loss is NaN")


def nan_metrics(runs: list[RunDirectory]) -> None:
    write(runs[0], "test/top1_error", None)


def another_metric_in_one_run(runs: list[RunDirectory]) -> None:
    write(runs[0], "test/accuracy", 90.0)


def half_written(runs: list[RunDirectory]) -> None:
    """A result that was cut off; beside it all that a report reads, cut off as well."""
    runs[0].result.write_text(runs[0].result.read_text()[:60])
    for run in runs[2:]:
        run.metrics.write_text('{"epoch": 0, "step": 1, "val/loss": 0.5}\n{"epoch": 0, "st')
        run.environment.write_text('{"attempts": [')
        run.gradcam.mkdir()
        for name in ("explanations.json", "attention.json"):
            (run.gradcam / name).write_text('{"layer": "layer4", "images": [{"sour')


def write(run: RunDirectory, name: str, value: float | None) -> None:
    document = json.loads(run.result.read_text())
    run.result.write_text(json.dumps(document | {"metrics": {name: value}}))


@pytest.mark.parametrize(
    ("damage", "missing", "lead"),
    [
        (nothing_finished, 4, "No run of this study is finished yet."),
        (failed_baseline, 2, "the baseline plain lacks runs (seeds 0, 1 diverged)"),
        (nan_metrics, 1, "the baseline plain lacks runs (seed 0 "),
        (another_metric_in_one_run, 1, "(seed 0 lacks test/top1_error)"),
        (half_written, 1, "(seed 0 has a damaged result)"),
    ],
)
def test_a_study_with_damage_has_a_clear_page_and_no_wrong_number(
    study: list[RunDirectory],
    damage: Callable[[list[RunDirectory]], None],
    missing: int,
    lead: str,
) -> None:
    damage(study)
    code, _, error = invoke("report", "small.yaml", "--out", "out")
    assert (code, error) == (0, "")
    assert lead in html.unescape(Path("out/index.html").read_text())
    cells = json.loads(Path("out/results.json").read_text())["cells"]
    assert [cell["cell"] for cell in cells] == ["plain", "aw"], "a table never gets shorter"
    assert sum(len(cell["missing"]) for cell in cells) == missing
    truth = {"plain": {"0": 10.0, "1": 11.0}, "aw": {"0": 11.0, "1": 12.0}}
    for cell in cells:
        kept = {seed: x for seed, x in cell["by_seed"].items() if x is not None}
        assert kept.items() <= truth[cell["cell"]].items()
        assert cell["n"] == len(kept)
        if kept:
            assert cell["mean"] == pytest.approx(sum(kept.values()) / len(kept))
        assert cell["verdict"] in (None, "too few seeds to say")
    for name in ("results.md", "results.tex", "results.csv"):
        assert "nan" not in Path("out", name).read_text().lower()


def test_one_seed(study: list[RunDirectory]) -> None:
    assert invoke("report", "small.yaml", "seeds=1", "--out", "out")[0] == 0
    assert "1 seed is too few to say" in Path("out/index.html").read_text()


def test_a_metric_that_no_run_has_is_an_error(study: list[RunDirectory]) -> None:
    code, _, error = invoke("report", "small.yaml", "metric.name=test/accuracy")
    assert code == 2
    assert "'test/accuracy', which none of its 4 finished runs has; expected one of" in error
    assert not Path("studies").exists()


LABELS = ["<script>alert(1)</script>", "x" * 300, "\u00e4\u03b1\u2603\u202e", "{{ 7 * 7 }} %s \\\\"]


@pytest.mark.parametrize("label", LABELS)
def test_wild_labels_are_refused_before_anything_is_written(
    study: list[RunDirectory], label: str
) -> None:
    values = {"plain": None, label: {"kind": "aw"}}
    text = STUDY.replace("{plain: null, aw: {kind: aw}}", json.dumps(values))
    Path("small.yaml").write_text(text, encoding="utf-8")
    code, _, error = invoke("report", "small.yaml")
    assert code == 2
    assert "must be 1 to 48 letters, digits and . _ + -" in error
    assert not Path("studies").exists()


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


def test_a_table_without_a_file_is_named() -> None:
    code, _, error = invoke("reproduce", "table9")
    assert code == 2
    assert "ablations/paper_table9.yaml" in error


PAPER = "paper: {aw: {source: Table 9, top1_error: 15.0}, plain: {source: T, top1_error: 10.5}}\n"


def test_reproduce_an_ablation(study: list[RunDirectory]) -> None:
    code, _, error = invoke("reproduce", "small.yaml")
    assert (code, "has no `paper`" in error) == (2, True)
    Path("small.yaml").write_text(STUDY + PAPER)
    code, out, _ = invoke("reproduce", "small.yaml", "--json")
    rows = {row["cell"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["aw"]["difference"]["agreement"] == "cannot be resolved with these seeds"
    assert rows["plain"]["error"]["agreement"] == "within the interval"
    code, out, _ = invoke("reproduce", "small.yaml", "--json", "--tolerance", "20")
    assert {row["error"]["agreement"] for row in json.loads(out)} == {"matches"}


def test_reproduce_runs_what_is_missing_when_asked(
    study: list[RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, list[str] | None]] = []
    monkeypatch.setattr(launch, "ablate", lambda *arguments: asked.append(arguments))
    Path("small.yaml").write_text(STUDY + PAPER)
    assert invoke("reproduce", "small.yaml", "seeds=2", "--run")[0] == 0
    assert asked == [(Path("small.yaml"), ["seeds=2"])]


@pytest.mark.parametrize("failed", [False, True])
def test_reproduce_says_how_rows_stand_whatever_came_of_running_them(
    study: list[RunDirectory], monkeypatch: pytest.MonkeyPatch, *, failed: bool
) -> None:
    def ablate(*_: object) -> None:
        typer.echo("what people see of a study")
        if failed:
            raise typer.Exit(1)

    monkeypatch.setattr(launch, "ablate", ablate)
    Path("small.yaml").write_text(STUDY + PAPER)
    code, out, error = invoke("reproduce", "small.yaml", "--run", "--json")
    assert code == int(failed)
    assert {row["cell"] for row in json.loads(out)} == {"plain", "aw"}
    assert "what people see of a study" in error


def test_reproduce_a_run(study: list[RunDirectory], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(study[0].path)
    code, out, _ = invoke("reproduce", folder)
    assert (code, "not run here" in out) == (0, True)

    attempt = {"attempts": [{"threads": torch.get_num_threads()}]}
    study[0].environment.write_text(json.dumps(attempt))
    monkeypatch.setenv("OMP_NUM_THREADS", "")

    def fit(experiment: Experiment, *, console: object) -> None:
        assert os.environ["OMP_NUM_THREADS"] == str(torch.get_num_threads())
        target = RunDirectory.of(experiment)
        shutil.copytree(study[0].path, target.path)

    monkeypatch.setattr(fitting, "run", fit)
    code, out, _ = invoke("reproduce", folder, "--run", "--json")
    found = json.loads(out)
    assert code == 0
    assert {row["agreement"] for row in found["metrics"]} == {"matches"}
    assert found["paper"] is None
    assert invoke("reproduce", folder, "seeds=2")[0] == 2
    assert invoke("reproduce", ".")[0] == 2


def test_reproduce_a_run_beside_its_printed_number(study: list[RunDirectory]) -> None:
    file = study[0].experiment
    paper = "paper: {source: Table 9, top1_error: 9.0, gmacs: 0.5}\n"
    file.write_text(file.read_text().replace("paper: null\n", paper))
    code, out, _ = invoke("reproduce", str(study[0].path), "--json")
    paper = json.loads(out)["paper"]
    assert code == 0
    assert paper["error"]["agreement"] == "cannot be resolved with these seeds"
    assert [cost["verdict"] for cost in paper["costs"]] == ["differs"]
    assert "printed 9.00" in invoke("reproduce", str(study[0].path))[1]
