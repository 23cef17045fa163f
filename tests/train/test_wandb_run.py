import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb
from wandb.errors import CommError

from awlab.record.run_directory import RunDirectory
from awlab.train import wandb_run
from awlab.train.wandb_run import files_in, first_line, start


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user who has no key."""
    for name in [name for name in os.environ if name.startswith("WANDB_") or name == "NETRC"]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    wandb.teardown()
    yield home
    wandb.teardown()


@pytest.fixture
def opened(monkeypatch):
    """Arguments of the calls of `wandb.init`, which does nothing; `broken` modes raise."""
    calls = []

    def init(**arguments):
        calls.append(arguments)
        if arguments["mode"] in opened.broken:
            raise CommError("refused\nas ever")
        return SimpleNamespace(define_metric=lambda *_, **__: None)

    opened = SimpleNamespace(calls=calls, broken=set())
    monkeypatch.setattr(wandb, "init", init)
    return opened


def try_to_start(tmp_path, wanted, notices=None):
    notify = (notices if notices is not None else []).append
    return start(RunDirectory(tmp_path / "run"), wanted, {"id": "abc"}, notify)


def modes(opened):
    return [call["mode"] for call in opened.calls]


KEY = {"WANDB_API_KEY": "k" * 40}


@pytest.mark.parametrize(
    ("wanted", "environment", "expected"),
    [
        ("auto", {}, ["offline"]),
        ("auto", KEY, ["online"]),
        ("auto", KEY | {"WANDB_MODE": "offline"}, ["offline"]),
        ("auto", KEY | {"WANDB_MODE": "dryrun"}, ["offline"]),
        ("auto", KEY | {"WANDB_MODE": "disabled"}, []),
        ("auto", {"WANDB_MODE": "online"}, ["offline"]),
        ("online", KEY | {"WANDB_MODE": "offline"}, ["online"]),
        ("online", KEY | {"WANDB_MODE": "disabled"}, ["online"]),
        ("online", {}, ["offline"]),
        ("offline", KEY | {"WANDB_MODE": "online"}, ["offline"]),
        ("disabled", KEY | {"WANDB_MODE": "online"}, []),
    ],
)
def test_mode(tmp_path, monkeypatch, opened, wanted, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = try_to_start(tmp_path, wanted)
    assert modes(opened) == expected
    assert (run is None) == (not expected)
    assert (tmp_path / "run" / "wandb").exists() == bool(expected)


def test_a_key_in_netrc_is_found(tmp_path, home, opened):
    (home / ".netrc").write_text(f"machine api.wandb.ai login user password {'k' * 40}\n")
    (home / ".netrc").chmod(0o600)
    try_to_start(tmp_path, "auto")
    assert modes(opened) == ["online"]


def test_a_key_for_another_server_is_not_taken(tmp_path, monkeypatch, opened):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine example.org login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    try_to_start(tmp_path, "auto")
    assert modes(opened) == ["offline"]


@pytest.mark.fault
def test_a_key_that_is_missing_is_said_only_when_it_is_wanted(tmp_path, opened):
    notices = []
    try_to_start(tmp_path, "auto", notices)
    assert notices == []
    try_to_start(tmp_path, "online", notices)
    assert notices == [
        "W&B: no API key was found (wandb login stores one): the run is mirrored offline"
    ]


@pytest.mark.fault
def test_a_key_that_cannot_be_one_is_said(tmp_path, monkeypatch, opened):
    monkeypatch.setenv("WANDB_API_KEY", "too-short")
    notices = []
    try_to_start(tmp_path, "auto", notices)
    assert modes(opened) == ["offline"]
    assert len(notices) == 1
    assert notices[0].startswith("W&B: the API key is of no use: ")
    assert "too-short" not in notices[0]


def test_waiting_is_bounded_and_nothing_is_printed(tmp_path, opened):
    try_to_start(tmp_path, "offline")
    (call,) = opened.calls
    settings = call["settings"]
    assert 0 < settings.init_timeout <= 30
    assert 0 < settings.finish_timeout <= 60
    assert settings.silent
    assert settings.console == "off"
    assert call["id"] == "abc"
    assert call["resume"] is None  # offline runs remember nothing
    assert Path(call["dir"]) == tmp_path / "run"


def test_online_runs_are_resumed(tmp_path, monkeypatch, opened):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    try_to_start(tmp_path, "online")
    assert opened.calls[0]["resume"] == "allow"


def test_a_server_that_refuses_makes_the_run_offline(tmp_path, monkeypatch, opened):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    opened.broken = {"online"}
    notices = []
    assert try_to_start(tmp_path, "auto", notices) is not None
    assert modes(opened) == ["online", "offline"]
    assert notices == ["W&B: no online run: refused"]


@pytest.mark.fault
def test_no_run_at_all_is_no_failure(tmp_path, opened):
    opened.broken = {"offline"}
    notices = []
    assert try_to_start(tmp_path, "offline", notices) is None
    assert notices == ["W&B: no offline run: refused"]


@pytest.mark.fault
def test_a_folder_that_cannot_be_made_is_no_failure(tmp_path, opened):
    (tmp_path / "run").write_text("a file")
    notices = []
    assert try_to_start(tmp_path, "offline", notices) is None
    assert len(notices) == 1
    assert "Not a directory" in notices[0]


def test_files_in_leaves_what_the_user_chose_and_puts_the_rest_back(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_CACHE_DIR", "/chosen")
    with files_in(tmp_path / "wandb"):
        assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "wandb" / "data")
        assert os.environ["WANDB_CACHE_DIR"] == "/chosen"
        assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    assert "WANDB_DATA_DIR" not in os.environ
    assert os.environ["WANDB_CACHE_DIR"] == "/chosen"


@pytest.mark.parametrize(
    ("error", "gist"), [(OSError("no\nroom"), "no"), (TimeoutError(), "TimeoutError")]
)
def test_first_line(error, gist):
    assert first_line(error) == gist


def test_the_step_is_the_axis_that_lightning_logs():
    assert wandb_run.STEP == "trainer/global_step"
