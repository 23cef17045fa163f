from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from awlab.record.record import Epoch, Result, write_result
from awlab.record.run_directory import RunDirectory
from awlab.report import terminal
from awlab.spec import Attention, Conv


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=80, color_system=None, highlight=False)


def text(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert max(map(len, printed.splitlines()), default=0) <= 80
    return printed


def result(**changes: object) -> Result:
    fields = {
        "id": "0123456789",
        "name": "tiny",
        "metrics": {"test/loss": 1.5, "test/top1_error": 12.345, "test/top5_error": 1.0},
        "tested_epoch": 9,
        "last": Epoch(9, {"val/top1_error": 13.0}),
        "best": Epoch(6, {"val/top1_error": 12.5}),
        "epochs": 10,
        "steps": 100,
        "parameters": 1234567,
        "gmacs": 0.0123,
        "seconds": 3725.0,
        "images_per_second": 2345.6,
        "peak_memory_bytes": 512 * 2**20,
        "attempts": 1,
    }
    return Result(**{**fields, **changes})


def test_a_result_says_what_it_is_worth_and_where_it_lies(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = RunDirectory("runs/tiny-0123456789")
    directory.wandb.mkdir(parents=True)
    directory.gradcam.mkdir()
    (directory.gradcam / "contact_sheet.png").touch()
    terminal.show_result(console, directory, result())
    printed = text(console)
    for line in (
        "12.35 % top-1, top-5 1.00 %",
        "best 12.50 % in epoch 7, last 13.00 % of 10",
        "1,234,567 parameters, 0.0123 GMACs",
        "1 h 02 min, 2,346 images/s, 512 MiB",
        "runs/tiny-0123456789/gradcam/contact_sheet.png",
        "wandb leet runs/tiny-0123456789/wandb",
        "wandb sync runs/tiny-0123456789/wandb",
    ):
        assert line in printed


def test_what_a_run_does_not_have_is_not_shown(console: Console, tmp_path: Path) -> None:
    few = result(metrics={"test/top1_error": 5.0}, seconds=61)
    terminal.show_result(console, RunDirectory(tmp_path), few)
    printed = text(console)
    assert "top-5" not in printed
    assert "Pictures" not in printed
    assert "W&B" not in printed
    assert "1 min 01 s" in printed


def test_runs_are_listed_with_their_errors(console: Console, tmp_path: Path) -> None:
    runs = {name: RunDirectory(tmp_path / name) for name in ("done", "broken", "half")}
    for directory in runs.values():
        directory.path.mkdir()
        directory.experiment.touch()
    write_result(runs["done"], result())
    runs["broken"].result.write_text("{")
    rows = terminal.run_rows(runs)
    assert [row["state"] for row in rows] == ["finished", "failed", "interrupted"]
    assert rows[0]["test/top1_error"] == 12.345
    assert rows[1]["test/top1_error"] is None
    terminal.show_runs(console, rows, tmp_path)
    assert "12.35 %" in text(console)


def test_the_name_of_a_run_of_a_study_keeps_its_line(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "quickstart-plain-none-s0-2015c723ff")
    directory.path.mkdir()
    directory.experiment.touch()
    file = StringIO()
    rows = terminal.run_rows({directory.path.name: directory})
    assert rows[0]["state"] == "interrupted"
    terminal.show_runs(Console(file=file, width=80), rows, tmp_path)
    assert f"{directory.path.name}  interrupted" in file.getvalue()


def test_no_runs(console: Console) -> None:
    terminal.show_runs(console, [], Path("runs"))
    assert text(console) == "no runs in runs\n"


def test_kinds_of_all_families(console: Console) -> None:
    rows = terminal.kind_rows([Conv, Attention])
    assert {"family": "conv", "kind": "aw"}.items() <= rows[0].items()
    kinds = [row["kind"] for row in rows if row["family"] == "attention"]
    assert kinds == ["cbam", "eca", "gather_excite", "global_context", "se"]
    assert all(row["what"] for row in rows)
    terminal.show_kinds(console, rows)
    lines = text(console).splitlines()
    assert sum(line.startswith("attention ") for line in lines) == 1


def test_metrics_and_checks(console: Console) -> None:
    terminal.show_metrics(console, {"val/loss": 0.5, "val/top1_error": 12.0})
    long = "a long detail " * 10
    terminal.show_checks(console, [SimpleNamespace(name="disk", verdict="problem", detail=long)])
    printed = text(console)
    assert "0.5000" in printed
    assert "12.00 %" in printed
    assert "problem  disk" in printed
