import json
import os
import subprocess

import pytest

from awlab.record import environment
from awlab.record.environment import (
    collect,
    git_state,
    read_attempts,
    record_attempt,
    version_changes,
    versions,
)
from awlab.record.run_directory import RunDirectory


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def test_versions_name_what_can_change_a_result():
    assert {"python", "awlab", "torch", "lightning"} <= versions().keys()


def test_attempts_are_counted(tmp_path):
    directory = RunDirectory(tmp_path)
    assert read_attempts(directory) == []
    assert record_attempt(directory, ["cpu"]) == 1
    assert record_attempt(directory, ["cpu", "cpu"]) == 2
    assert [attempt["devices"] for attempt in read_attempts(directory)] == [["cpu"], ["cpu", "cpu"]]


def test_a_damaged_file_is_begun_anew(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.environment.write_text("{")
    assert record_attempt(directory, []) == 1


def test_the_description_is_json_without_the_name_of_the_host():
    description = collect(["cpu"])
    assert json.loads(json.dumps(description)) == description
    assert "host" not in json.dumps(sorted(description))


@pytest.mark.parametrize(("told", "threads"), [("3", 3), ("", None), ("0", None), ("all", None)])
def test_threads_are_those_that_were_told_else_all_that_may_be_used(monkeypatch, told, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    expected = threads or len(os.sched_getaffinity(0))
    assert collect([])["threads"] == expected


def test_a_folder_outside_of_a_repository_has_no_commit(tmp_path):
    assert git_state(tmp_path) is None


def test_uncommitted_changes_have_a_hash(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a.txt").write_text("one")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-q", "-m", "first")
    clean = git_state(tmp_path)
    assert clean is not None
    assert clean["dirty"] is None
    (tmp_path / "a.txt").write_text("two")
    changed = git_state(tmp_path)
    assert changed is not None
    assert changed["commit"] == clean["commit"]
    assert changed["dirty"] is not None


def test_uncommitted_changes_are_kept_beside_the_run(tmp_path, monkeypatch):
    code = tmp_path / "code"
    code.mkdir()
    git(code, "init", "-q")
    (code / "a.txt").write_text("one\n")
    git(code, "add", "a.txt")
    git(code, "commit", "-q", "-m", "first")
    (code / "a.txt").write_text("two\n")
    monkeypatch.chdir(code)
    directory = RunDirectory(tmp_path / "run")
    record_attempt(directory, [])
    state = read_attempts(directory)[0]["code"]["working_directory"]
    text = directory.patch(state["dirty"]).read_text()
    assert "-one\n+two\n" in text
    monkeypatch.setattr(environment, "LONGEST_PATCH", 10)
    other = RunDirectory(tmp_path / "other")
    record_attempt(other, [])
    assert not other.patch(state["dirty"]).exists()


def test_kept_changes_can_be_applied_whatever_they_are(tmp_path, monkeypatch):
    code = tmp_path / "code"
    code.mkdir()
    git(code, "init", "-q")
    git(code, "config", "color.ui", "always")
    contents = {"latin.py": b"# caf\xe9\n", "picture.png": bytes(range(256))}
    for name in contents:
        (code / name).write_bytes(b"before\n")
    git(code, "add", ".")
    git(code, "commit", "-q", "-m", "first")
    for name, content in contents.items():
        (code / name).write_bytes(content)
    monkeypatch.chdir(code)
    directory = RunDirectory(tmp_path / "run")
    record_attempt(directory, [])
    dirty = read_attempts(directory)[0]["code"]["working_directory"]["dirty"]
    git(code, "checkout", "-q", ".")
    git(code, "apply", str(directory.patch(dirty)))
    assert {name: (code / name).read_bytes() for name in contents} == contents


def test_versions_that_changed_since_the_last_attempt_are_named(tmp_path, monkeypatch):
    directory = RunDirectory(tmp_path)
    assert version_changes(directory) == []
    for torch in ("2.11", "2.12"):
        now = {"python": "3.11", "torch": torch}
        monkeypatch.setattr(environment, "versions", lambda now=now: now)
        record_attempt(directory, [])
    assert version_changes(directory) == ["torch 2.11 -> 2.12"]
    record_attempt(directory, [])
    assert version_changes(directory) == []
