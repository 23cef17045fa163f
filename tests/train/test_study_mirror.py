import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from PIL import Image

from awlab.plan import plan
from awlab.record.record import Epoch, Result, write_result
from awlab.report.collect import collect
from awlab.spec.ablation import Ablation
from awlab.spec.load import parse
from awlab.train import wandb_run
from awlab.train.study_mirror import mirror_study, result_rows
from tests.train.fake_wandb import serve


def make(root, wanted="offline"):
    base = {
        "name": "tiny",
        "model": {"kind": "resnet", "depth": 18, "width": 2, "stem": "cifar"},
        "data": {"kind": "digits"},
        "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
        "runtime": {"root": str(root / "runs"), "wandb": wanted},
    }
    axis = {"path": "model.conv", "values": {"plain": None, "aw": {"kind": "aw"}}}
    study = {"name": "tiny", "base": base, "axes": {"conv": axis}, "baseline": "plain", "seeds": 2}
    return plan(parse(Ablation, study))


def finished(root, wanted="offline"):
    """A study of which all runs are finished and one network of each cell was explained."""
    for run in make(root).runs:
        run.directory.create(run.experiment)
        epoch = Epoch(0, {"val/top1_error": 9.0})
        result = Result(
            run.id, run.experiment.name, {"test/top1_error": 9.0 + run.seed}, 0, epoch, epoch, 1, 1,
            1000, 0.1, 1.0, 10.0, 1000, 1,
        )  # fmt: skip
        write_result(run.directory, result)
        folder = run.directory.gradcam
        folder.mkdir()
        for name in ("000-input.png", "000-overlay.png", "attention.png"):
            Image.new("RGB", (8, 8)).save(folder / name)
        image = {"source": 0, "image": "000-input.png", "overlay": "000-overlay.png"}
        said = {"prediction": "one", "confidence": 0.5, "drop": 1, "deletion": 0, "insertion": 1}
        document = {"layer": "layer4", "images": [image | said]}
        (folder / "explanations.json").write_text(json.dumps(document))
    return make(root, wanted)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def server(monkeypatch):
    yield from serve(monkeypatch)


KEYS = {
    "report/page",
    "report/results",
    "report/means",
    "report/differences",
    "report/costs",
    "report/gradcam_wall",
    "report/attention",
}


def test_a_study_is_one_offline_run_with_its_table_figures_and_wall(tmp_path):
    study = finished(tmp_path)
    address = mirror_study(study, collect(study), notify=pytest.fail)
    (folder,) = (tmp_path / "studies" / "tiny" / "wandb").glob("offline-run-*-study-tiny")
    assert address == f"wandb sync {folder}"
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    (run,) = (record["run"] for record in records if record["type"] == "run")
    assert (run["run_id"], run["run_group"], run["job_type"]) == ("study-tiny", "tiny", "report")
    assert run["config"]["update"]["study"]["baseline"] == "plain"
    logged = {
        name.removesuffix("._type").removesuffix("_table")
        for record in records
        if record["type"] == "history"
        for name in record["history"]["item"]
        if name.endswith("._type")
    }
    assert logged == KEYS
    summary = {}
    for record in records:
        if record["type"] == "summary":
            summary.update(record["summary"]["update"])
    assert summary["aw/difference/mean"] == 0
    assert summary["plain/mean"] == 9.5
    assert not list((tmp_path / "home").rglob("*.json")), "all lies in the folder of the study"


@pytest.mark.slow
def test_it_arrives_whole_and_under_the_same_id_every_time(tmp_path, server):
    study = finished(tmp_path, "auto")
    notices = []
    address = None
    for _ in range(2):
        address = mirror_study(study, collect(study), notify=notices.append)
    assert notices == []
    assert address == f"{server.url}/lab/awlab/runs/study-tiny"
    assert list(server.runs) == ["study-tiny"]
    rows = server.runs["study-tiny"]["history"]
    assert sum(any(name.startswith("report/gradcam_wall") for name in row) for row in rows) == 2
    assert all(server.artifacts.values())
    assert any(name.startswith("media/html/") for name in server.uploads)
    assert server.unknown == []


@pytest.mark.slow
def test_a_server_that_refuses_is_no_failure(tmp_path, server, monkeypatch):
    monkeypatch.setattr(wandb_run, "INIT_SECONDS", 1)
    monkeypatch.setattr(wandb.Api, "_HTTP_TIMEOUT", 1)
    server.stop()
    study = finished(tmp_path, "auto")
    notices = []
    address = mirror_study(study, collect(study), notify=notices.append)
    assert len(notices) == 1
    assert notices[0].startswith("W&B: no online run: ")
    assert address is not None
    assert Path(address.removeprefix("wandb sync ")).is_dir()


def test_what_wandb_cannot_draw_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no charts today")

    monkeypatch.setattr(wandb.plot, "bar", broken)
    study = finished(tmp_path)
    notices = []
    assert mirror_study(study, collect(study), notify=notices.append) is not None
    (notice,) = notices
    assert notice.startswith("W&B: no charts today. ")


def test_a_disabled_study_leaves_nothing(tmp_path):
    study = finished(tmp_path, "disabled")
    assert mirror_study(study, collect(study), notify=pytest.fail) is None
    assert not (tmp_path / "studies").exists()


@pytest.mark.slow
def test_nothing_finished_is_a_run_all_the_same(tmp_path):
    study = make(tmp_path)
    assert mirror_study(study, collect(study), notify=pytest.fail) is not None


def test_a_row_per_cell(tmp_path):
    rows = result_rows(collect(finished(tmp_path)))
    assert [row["cell"] for row in rows] == ["plain", "aw"]
    assert rows[1]["axis/conv"] == "aw"
    assert rows[1]["verdict"] == "too few seeds to say"
    assert rows[0]["difference/mean"] is None
