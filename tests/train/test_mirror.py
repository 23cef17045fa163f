import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import wandb
from PIL import Image

from awlab.record.record import Epoch, Result
from awlab.record.run_directory import RunDirectory
from awlab.spec import SGD, Digits, Experiment, ResNet, Runtime, Training
from awlab.train import wandb_run
from awlab.train.detection_pictures import Detection
from awlab.train.explanation import SHEET, Explanation
from awlab.train.mirror import Mirror, open_mirror
from tests.train.fake_wandb import serve

STEPS = 5
RESULT = Result(
    id="0123456789",
    name="tiny",
    metrics={"test/loss": 0.7, "test/top1_error": 12.5},
    tested_epoch=2,
    last=Epoch(2, {"val/loss": 0.6, "val/top1_error": 11.0}),
    best=Epoch(1, {"val/loss": 0.5, "val/top1_error": 10.0}),
    epochs=3,
    steps=STEPS,
    parameters=1234,
    gmacs=0.5,
    seconds=60.0,
    images_per_second=100.0,
    peak_memory_bytes=2**20,
    attempts=1,
)


def experiment(**runtime):
    return Experiment(
        name="tiny",
        model=ResNet(depth=18, width=4),
        data=Digits(),
        training=Training(epochs=3, batch_size=8, optimizer=SGD(lr=0.1)),
        runtime=Runtime(**runtime),
    )


def explanations(folder):
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for k in range(3):
        image, overlay = folder / f"00{k}-input.png", folder / f"00{k}-overlay.png"
        Image.new("RGB", (8, 8), (k, 0, 0)).save(image)
        Image.new("RGB", (8, 8), (k, 9, 0)).save(overlay)
        truth = None if k == 2 else "two"
        found.append(Explanation(k, image, overlay, "two", truth, 0.5, 30.0, 0.25, 0.75))
    Image.new("RGB", (8, 8)).save(folder / SHEET)
    return found


LABELS = {
    "wandb_group": "study",
    "wandb_job_type": "aw",
    "wandb_tags": ("conv=aw", "seed=0"),
}


def mirror_a_run(directory, wanted="offline", notices=None, fault=lambda: None):
    """What `awlab run` does with a mirror; `fault` strikes between two steps."""
    notify = [].append if notices is None else notices.append
    with open_mirror(experiment(wandb=wanted, **LABELS), directory, notify=notify) as mirror:
        assert mirror.logger is not None
        for step in range(STEPS):
            mirror.logger.log_metrics({"val/loss": 1 / (1 + step), "epoch": step // 2}, step)
            if step == 2:
                fault()
        shown = explanations(directory.gradcam)
        mirror.show(shown)
        mirror.summarize(RESULT)
        return mirror.address


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """A user who has no key and whose home nothing is written to."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_") or name == "NETRC"]:
            patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        wandb.teardown()
        yield home
        wandb.teardown()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(wandb.Api, "_HTTP_TIMEOUT", 1)  # read from WANDB_HTTP_TIMEOUT on import
    yield from serve(monkeypatch)


def folders(directory, mode="offline"):
    start = "offline-run-*" if mode == "offline" else "run-*"
    return sorted(directory.wandb.glob(start), key=lambda path: path.stat().st_mtime_ns)


def read_back(folder):
    """The records of a W&B run, by type, as W&B's own reader sees them."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    records = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        records.setdefault(record["type"], []).append(record[record["type"]])
    return records


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """A finished offline run: its directory, its address, what was said, and what is in it."""
    directory = RunDirectory(tmp_path_factory.mktemp("runs") / "tiny-0123456789")
    notices = []
    address = mirror_a_run(directory, notices=notices)
    (folder,) = folders(directory)
    return directory, address, notices, read_back(folder)


def test_offline_run_is_identified(offline):
    directory, address, notices, records = offline
    (run,) = records["run"]
    assert run["run_id"] == experiment().id
    assert run["display_name"] == "tiny-0123456789"
    assert run["project"] == "awlab"
    assert run["run_group"] == "study"
    assert run["job_type"] == "aw"
    assert run["tags"] == ["conv=aw", "seed=0"]
    assert [end["exit_code"] for end in records["exit"]] == [0]
    assert address == f"wandb sync {folders(directory)[0]}"
    assert notices == []


def test_config_is_the_whole_experiment(offline):
    config = offline[3]["run"][0]["config"]["update"]
    expected = experiment(wandb="offline", **LABELS).model_dump(mode="json")
    assert {key: config[key] for key in expected} == expected
    assert set(config) - set(expected) == {"_wandb"}


def test_every_step_is_a_row_and_the_axis(offline):
    records = offline[3]
    rows = [row["item"] for row in records["history"] if "val/loss" in row["item"]]
    assert [row["trainer/global_step"] for row in rows] == list(range(STEPS))
    assert [row["val/loss"] for row in rows] == [1 / (1 + step) for step in range(STEPS)]
    assert [row["epoch"] for row in rows] == [0, 0, 1, 1, 2]
    axis = next(metric for metric in records["metric"] if metric.get("glob_name") == "*")
    assert axis["step_metric"] == "trainer/global_step"


def test_gradcam_table_has_a_row_per_image_with_two_pictures_each(offline):
    directory, _, _, records = offline
    row = next(r["item"] for r in records["history"] if "gradcam/table._type" in r["item"])
    assert (row["gradcam/table.nrows"], row["gradcam/table.ncols"]) == (3, 8)
    (artifact,) = records["artifact"]
    files = {file["path"]: Path(file["local_path"]) for file in artifact["manifest"]["contents"]}
    pictures = [path for path in files if path.endswith(".png")]
    assert len(pictures) == 3 * 2
    table = json.loads(files["gradcam/table.table.json"].read_text())
    said = ["prediction", "truth", "confidence", "drop", "deletion", "insertion"]
    assert table["columns"] == ["input", "overlay", *said]
    assert [row[2:] for row in table["data"]] == [
        ["two", "two", 0.5, 30, 0.25, 0.75],
        ["two", "two", 0.5, 30, 0.25, 0.75],
        ["two", None, 0.5, 30, 0.25, 0.75],
    ]
    assert all(path.is_relative_to(directory.wandb) for path in files.values())


def test_the_contact_sheet_is_an_image_among_the_files(offline):
    directory, _, _, records = offline
    row = next(r["item"] for r in records["history"] if "gradcam/sheet._type" in r["item"])
    assert (folders(directory)[0] / "files" / row["gradcam/sheet.path"]).is_file()


def test_the_attention_of_aw_convolutions_is_an_image_where_there_is_one(tmp_path):
    directory = RunDirectory(tmp_path / "tiny-0123456789")
    found = explanations(directory.gradcam)
    Image.new("RGB", (8, 8)).save(directory.gradcam / "attention.png")
    with open_mirror(experiment(wandb="offline"), directory, notify=pytest.fail) as mirror:
        mirror.show(found)
    records = read_back(folders(directory)[0])
    assert any("attention/sheet._type" in row["item"] for row in records["history"])


def test_detections_are_a_table_of_what_there_is_and_what_was_found(tmp_path):
    directory = RunDirectory(tmp_path / "tiny-0123456789")
    directory.detections.mkdir(parents=True)
    pictures = [directory.detections / name for name in ("000-truth.png", "000-found.png", SHEET)]
    for shade, picture in enumerate(pictures):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(picture)
    found = Detection(7, *pictures[:2], objects=3, right=2, wrong=1, boxes=[])
    with open_mirror(experiment(wandb="offline"), directory, notify=pytest.fail) as mirror:
        mirror.show_detections([found])
    records = read_back(folders(directory)[0])
    assert any("detections/sheet._type" in row["item"] for row in records["history"])
    (artifact,) = records["artifact"]
    files = {file["path"]: Path(file["local_path"]) for file in artifact["manifest"]["contents"]}
    table = json.loads(files["detections/table.table.json"].read_text())
    assert table["columns"] == ["truth", "found", "objects", "right", "wrong"]
    assert [row[2:] for row in table["data"]] == [[3, 2, 1]]


def test_summary_has_size_best_last_and_test(offline):
    summary = {}
    for record in offline[3]["summary"]:
        summary.update(record["update"])
    assert summary["parameters"] == 1234
    assert summary["gmacs"] == 0.5
    assert summary["test/top1_error"] == 12.5
    assert (summary["best/epoch"], summary["best/val/top1_error"]) == (1, 10.0)
    assert (summary["last/epoch"], summary["last/val/top1_error"]) == (2, 11.0)


def test_nothing_lies_outside_the_run_directory(offline, home):
    assert not [path for path in home.rglob("*") if path.is_file()]
    assert "WANDB_DATA_DIR" not in os.environ


def test_wandb_sync_delivers_an_offline_run_whole(offline, server, tmp_path):
    command = [sys.executable, "-m", "wandb", "sync", "--yes", str(offline[0].wandb)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)  # it leaves logs
    (run,) = server.runs.values()
    assert len(run["history"]) == STEPS + 2
    assert list(server.artifacts.values()) == [True]
    assert sum(name.startswith("media/images/") for name in server.uploads) == 3 * 2 + 1
    assert server.unknown == []


def test_a_resumed_run_keeps_its_id_and_a_failed_one_says_so(tmp_path):
    directory = RunDirectory(tmp_path / "tiny-0123456789")
    spec = experiment(wandb="offline")
    with pytest.raises(SystemExit), open_mirror(spec, directory, notify=pytest.fail):
        raise SystemExit(75)
    with open_mirror(spec, directory, notify=pytest.fail):
        pass
    first, second = map(read_back, folders(directory))
    assert first["run"][0]["run_id"] == second["run"][0]["run_id"] == spec.id
    assert first["exit"][0]["exit_code"] == 1
    assert second["exit"][0]["exit_code"] == 0


def test_a_disabled_mirror_does_nothing(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with open_mirror(experiment(wandb="disabled"), directory, notify=pytest.fail) as mirror:
        assert mirror.logger is None
        assert mirror.address is None
        mirror.show(explanations(tmp_path))
        mirror.summarize(RESULT)
    assert not directory.wandb.exists()


def test_only_the_first_rank_has_a_run(tmp_path, monkeypatch):
    for name, value in {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "RANK": 1, "LOCAL_RANK": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    directory = RunDirectory(tmp_path / "run")
    with open_mirror(experiment(wandb="offline"), directory, notify=pytest.fail) as mirror:
        assert mirror.logger is None
    assert not directory.wandb.exists()


def test_online_runs_arrive_whole_and_are_resumed_under_one_id(tmp_path, server):
    directory = RunDirectory(tmp_path / "tiny-0123456789")
    notices = []
    address = mirror_a_run(directory, "auto", notices)
    assert notices == []
    (run,) = server.runs.values()
    assert address == f"{server.url}/lab/awlab/runs/{experiment().id}"
    assert run["groupName"] == "study"
    assert json.loads(run["config"])["model"]["value"]["depth"] == 18
    assert len(run["history"]) == STEPS + 2
    assert list(server.artifacts.values()) == [True]
    assert sum(name.startswith("media/images/") for name in server.uploads) == 3 * 2 + 1
    assert server.unknown == []

    mirror_a_run(directory, "auto", notices)
    assert notices == []
    assert list(server.runs) == [experiment().id]
    assert len(run["history"]) == 2 * (STEPS + 2)


@pytest.mark.fault
@pytest.mark.parametrize("fault", ["refuses", "is ill"])
def test_a_server_that_does_not_take_the_run_makes_it_offline(tmp_path, server, monkeypatch, fault):
    monkeypatch.setattr(wandb_run, "INIT_SECONDS", 1)
    if fault == "refuses":
        server.stop()
    server.status = 503
    directory = RunDirectory(tmp_path / "run")
    notices = []
    mirror_a_run(directory, "auto", notices)
    assert len(notices) == 1
    assert notices[0].startswith("W&B: no online run: ")
    (folder,) = folders(directory)
    assert len(read_back(folder)["history"]) == STEPS + 2


@pytest.mark.fault
def test_a_server_that_dies_is_told_once_and_loses_no_row(tmp_path, server, monkeypatch):
    monkeypatch.setattr(wandb_run, "FINISH_SECONDS", 1)
    directory = RunDirectory(tmp_path / "run")
    notices = []
    start = time.monotonic()
    mirror_a_run(directory, "online", notices, fault=server.stop)
    assert time.monotonic() - start < 60
    (folder,) = folders(directory, "online")
    assert len(notices) == 1
    assert notices[0].endswith(f"wandb sync {folder}")
    rows = [row for row in read_back(folder)["history"] if "val/loss" in row["item"]]
    assert len(rows) == STEPS


def rows_of(run):
    return [row for row in run["history"] if "val/loss" in row]


@pytest.mark.fault
def test_no_step_waits_for_a_slow_server(tmp_path, server):
    directory, notices, seconds = RunDirectory(tmp_path / "run"), [], []
    with open_mirror(experiment(wandb="online"), directory, notify=notices.append) as mirror:
        assert mirror.logger is not None
        server.delay = 1.0
        for step in range(40):
            start = time.perf_counter()
            mirror.logger.log_metrics({"val/loss": 1.0}, step)
            seconds.append(time.perf_counter() - start)
            time.sleep(0.01)
        server.delay = 0.0
    assert max(seconds) < 0.5  # Half as long as an answer takes.
    assert notices == []
    (run,) = server.runs.values()
    assert len(rows_of(run)) == 40


@pytest.mark.fault
def test_a_server_that_is_ill_for_a_moment_gets_all_rows(tmp_path, server):
    directory, notices = RunDirectory(tmp_path / "run"), []
    with open_mirror(experiment(wandb="online"), directory, notify=notices.append) as mirror:
        assert mirror.logger is not None
        server.status = 503
        healthy = threading.Timer(1.5, setattr, (server, "status", 200))
        healthy.start()
        for step in range(STEPS):
            mirror.logger.log_metrics({"val/loss": 1.0}, step)
        mirror.summarize(RESULT)
    healthy.join()
    assert notices == []
    (run,) = server.runs.values()
    assert len(rows_of(run)) == STEPS


@pytest.mark.fault
def test_a_key_that_is_refused_in_the_midst_is_told_and_loses_no_row(tmp_path, server, monkeypatch):
    monkeypatch.setattr(wandb_run, "FINISH_SECONDS", 3)
    directory, notices = RunDirectory(tmp_path / "run"), []
    start = time.monotonic()
    mirror_a_run(directory, "online", notices, lambda: setattr(server, "status", 401))
    assert time.monotonic() - start < 60
    (folder,) = folders(directory, "online")
    assert len(notices) == 1, notices
    assert notices[0].endswith(f"wandb sync {folder}")
    assert len(rows_of({"history": [row["item"] for row in read_back(folder)["history"]]})) == STEPS


@pytest.mark.fault
def test_a_disk_of_wandb_that_is_full_is_told_and_ends_nothing(tmp_path):
    """Also where only W&B's own process writes there, which keeps silent about it."""
    directory, notices = RunDirectory(tmp_path / "run"), []
    directory.wandb.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(directory.wandb)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with open_mirror(experiment(wandb="offline"), directory, notify=notices.append) as mirror:
            assert mirror.logger is not None
            with suppress(OSError), (directory.wandb / "filler").open("wb") as filler:
                while True:
                    filler.write(b"0" * 4096)
                    filler.flush()
            for step in range(STEPS):
                mirror.logger.log_metrics({"val/loss": 1.0}, step)
            mirror.summarize(RESULT)
    finally:
        subprocess.run(["umount", "-l", str(directory.wandb)], check=True)
    (notice,) = notices
    assert re.match(r"W&B: the disk of .*/wandb/offline-run-.* is full, so what W&B wrote", notice)
    assert "The run directory has it all" in notice


@pytest.mark.fault
def test_pictures_of_wandb_that_were_removed_before_an_upload(tmp_path, server):
    """Its rows still arrive; when all is gone, W&B says so, and the run directory has it all."""
    directory = RunDirectory(tmp_path / "tiny-0123456789")
    mirror_a_run(directory, "offline")
    command = [sys.executable, "-m", "wandb", "sync", "--yes", str(directory.wandb)]
    shutil.rmtree(directory.wandb / "data")
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    (run,) = server.runs.values()
    assert len(rows_of(run)) == STEPS
    assert list(server.artifacts.values()) == [False]
    shutil.rmtree(directory.wandb)
    refused = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert refused.returncode == 2
    assert f"'{directory.wandb}' does not exist" in refused.stderr
    assert len(list(directory.gradcam.glob("*-overlay.png"))) == 3


class Orphan:
    """A W&B run whose service process was killed: everything but its folder raises."""

    dir = "/runs/tiny/wandb/offline-run-1/files"
    offline = True

    def __getattr__(self, name):
        raise ConnectionResetError("Connection lost")


@pytest.mark.fault
def test_the_death_of_the_process_behind_wandb_is_told_once_and_ends_nothing(tmp_path):
    notices = []
    mirror = Mirror(Orphan(), notices.append)  # type: ignore[arg-type]
    assert mirror.logger is not None
    mirror.logger.log_hyperparams({"ignored": True})
    mirror.logger.log_metrics({"val/loss": 1.0}, 0)
    mirror.show(explanations(tmp_path))
    mirror.summarize(RESULT)
    mirror.finish(exit_code=0)
    (notice,) = notices
    assert notice.startswith("W&B: Connection lost. The run directory has it all")
    assert notice.endswith(": wandb sync /runs/tiny/wandb/offline-run-1")
