import json
import sys

import pytest
import wandb

from awlab.plan import plan
from awlab.record.study_directory import StudyDirectory
from awlab.spec.ablation import Ablation
from awlab.spec.errors import InputError
from awlab.spec.load import parse
from awlab.train.dashboard import CURVES, dashboard, save, specification
from tests.train.fake_wandb import FakeWandb, serve
from tests.train.test_study_mirror import KEYS, make


@pytest.fixture
def server(monkeypatch):
    yield from serve(monkeypatch)


def test_the_specification_shows_the_study_by_cell(tmp_path):
    view = specification(dashboard(make(tmp_path)))
    assert (view["project"], view["displayName"]) == ("awlab", "tiny")
    section = view["spec"]["section"]
    (runs,) = section["runSets"]
    text = json.dumps(runs)
    assert '"name": "group"' in text
    assert '"value": "tiny"' in text
    assert [key["name"] for key in runs["grouping"]] == ["jobType"]
    assert runs["runFeed"]["columnPinned"]["summary:test/top1_error"]
    sections = {one["name"]: one for one in section["panelBankConfig"]["sections"]}
    curves = [panel["config"] for panel in sections["Learning curves"]["panels"]]
    assert [curve["metrics"] for curve in curves] == [[name] for name in CURVES["classification"]]
    assert {(curve["groupBy"], curve["groupAgg"]) for curve in curves} == {("jobType", "mean")}
    media = [panel["config"].get("mediaKeys") for panel in sections["Grad-CAM"]["panels"]]
    assert media == [
        ["report/gradcam_wall", "report/attention"],
        ["gradcam/sheet", "attention/sheet"],
        None,
    ]
    assert set(media[0]) <= KEYS, "the study has shown them"
    tables = json.dumps([sections["Answer"], sections["Grad-CAM"]])
    assert '"val": "report/results"' in tables
    assert '"val": "gradcam/table"' in tables
    assert len(sections["System"]["panels"]) > 2


def test_a_study_of_detectors_shows_their_precision_and_boxes(tmp_path):
    base = {
        "name": "tiny",
        "model": {"kind": "ssd300"},
        "data": {"kind": "digit_scenes"},
        "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
        "runtime": {"root": str(tmp_path / "runs"), "wandb": "offline"},
    }
    axis = {"path": "model.conv", "values": {"plain": None, "aw": {"kind": "aw", "norm": "layer"}}}
    study = {"name": "tiny", "base": base, "axes": {"conv": axis}, "baseline": "plain", "seeds": 2}
    metric = {"metric": {"name": "test/map"}}
    view = specification(dashboard(plan(parse(Ablation, study | metric))))
    found = view["spec"]["section"]["panelBankConfig"]["sections"]
    sections = {one["name"]: one for one in found}
    curves = [panel["config"]["metrics"] for panel in sections["Learning curves"]["panels"]]
    assert curves == [[name] for name in CURVES["detection"]]
    assert sections["Detections"]["panels"][0]["config"]["mediaKeys"] == ["detections/sheet"]
    assert '"val": "detections/table"' in json.dumps(sections["Detections"])
    assert "Grad-CAM" not in sections


def test_it_is_saved_and_saved_over(tmp_path, server):
    study = make(tmp_path)
    url = save(study)
    assert url.startswith(f"{server.url}/lab/awlab?nw=")
    (first,) = server.views.values()
    assert (first["entityName"], first["projectName"]) == ("lab", "awlab")
    assert save(study) == url
    ((key, second),) = server.views.items()
    assert (second["id"], second["name"]) == (key, first["name"])
    assert json.loads(second["spec"])["section"]["panelBankConfig"]["sections"]
    assert server.unknown == []


def test_what_was_saved_in_another_project_is_left_alone(tmp_path, server, monkeypatch):
    save(make(tmp_path))
    monkeypatch.setenv("WANDB_PROJECT", "another")
    save(make(tmp_path))
    assert sorted(view["projectName"] for view in server.views.values()) == ["another", "awlab"]


def test_a_damaged_note_of_it_saves_it_anew(tmp_path, server):
    study = make(tmp_path)
    save(study)
    StudyDirectory.of(study.ablation).dashboard.write_text("[]")
    save(study)
    assert len(server.views) == 2


def test_without_a_key(tmp_path):
    wandb.teardown()
    with pytest.raises(InputError, match=r"no API key was found \(wandb login stores one\)"):
        save(make(tmp_path))


def test_a_server_that_refuses(tmp_path, server, monkeypatch):
    monkeypatch.setenv("WANDB_ENTITY", "lab")
    monkeypatch.setattr(FakeWandb, "on_UpsertView2", lambda *_: None)
    with pytest.raises(InputError, match="W&B did not take the dashboard: "):
        save(make(tmp_path))


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(InputError, match=r"pip install 'awlab\[wandb-ui\]'"):
        dashboard(make(tmp_path))
