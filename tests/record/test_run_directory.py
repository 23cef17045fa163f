import re
import time

import pytest

from awlab.record.run_directory import RunDirectory, find_runs, write_atomically
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.spec.load import dump


def experiment(root, *, name="digits", seed=0):
    return Experiment.model_validate(
        {
            "name": name,
            "model": {"kind": "resnet", "depth": 18, "width": 4, "stem": "cifar"},
            "data": {"kind": "digits"},
            "training": {"epochs": 1, "batch_size": 64, "optimizer": {"kind": "sgd", "lr": 0.1}},
            "seed": seed,
            "runtime": {"root": str(root)},
        }
    )


def test_a_new_run_lies_under_name_and_id(tmp_path):
    wanted = experiment(tmp_path)
    directory = RunDirectory.of(wanted)
    assert directory.path == tmp_path / f"digits-{wanted.id}"
    assert directory.state == "missing"


def test_state_follows_from_files(tmp_path):
    wanted = experiment(tmp_path)
    directory = RunDirectory.of(wanted)
    directory.create(wanted)
    assert directory.state == "interrupted"
    directory.fail("diverged", "loss was nan")
    assert (directory.state, directory.failure) == ("failed", "diverged")
    directory.result.write_text("{}")
    assert directory.state == "finished"


def test_creating_twice_changes_nothing(tmp_path):
    wanted = experiment(tmp_path)
    directory = RunDirectory.of(wanted)
    directory.create(wanted)
    before = directory.experiment.read_bytes()
    directory.create(experiment(tmp_path, name="other"))
    assert directory.experiment.read_bytes() == before


def test_a_run_is_found_under_another_name(tmp_path):
    made = experiment(tmp_path, name="first")
    RunDirectory.of(made).create(made)
    found = RunDirectory.of(experiment(tmp_path, name="second"))
    assert found.path.name == f"first-{made.id}"


def test_a_run_is_found_in_a_renamed_folder(tmp_path):
    made = experiment(tmp_path)
    RunDirectory.of(made).create(made)
    RunDirectory.of(made).path.rename(tmp_path / "kept")
    assert RunDirectory.of(made).path == tmp_path / "kept"


def test_a_run_of_another_version_is_found_by_what_it_means_today(tmp_path):
    made = experiment(tmp_path)
    folder = tmp_path / "digits-0123456789"
    folder.mkdir()
    text, removed = re.subn(" +decay: all\n", "", dump(made))
    assert removed == 1
    (folder / "experiment.yaml").write_text(
        "# awlab run 0123456789 (schema 00000000): a record, do not edit.\n" + text
    )
    assert RunDirectory.of(made).path == folder
    assert find_runs(tmp_path) == {made.id: RunDirectory(folder)}


def test_a_finished_run_counts_before_an_unfinished_one(tmp_path):
    made = experiment(tmp_path)
    RunDirectory.of(made).create(made)
    finished = RunDirectory(tmp_path / f"older-{made.id}")
    finished.create(made)
    finished.result.write_text("{}")
    assert RunDirectory.of(made) == finished
    assert find_runs(tmp_path)[made.id] == finished


@pytest.mark.fault
def test_an_edited_experiment_is_refused(tmp_path):
    made = experiment(tmp_path)
    directory = RunDirectory.of(made)
    directory.create(made)
    text = directory.experiment.read_text()
    directory.experiment.write_text(text.replace("epochs: 1\n", "epochs: 2\n"))
    with pytest.raises(InputError, match=r"experiment\.yaml means experiment .* edited after"):
        RunDirectory.of(made)


@pytest.mark.fault
def test_an_unreadable_experiment_is_refused(tmp_path):
    made = experiment(tmp_path)
    directory = RunDirectory.of(made)
    directory.create(made)
    directory.experiment.write_text("name: [")
    with pytest.raises(InputError, match=r"experiment\.yaml can no longer be read"):
        RunDirectory.of(made)


@pytest.mark.fault
def test_a_root_that_cannot_hold_folders_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    wanted = experiment(tmp_path / "file")
    with pytest.raises(InputError, match=r"cannot write the run directory .*runtime\.root=FOLDER"):
        RunDirectory.of(wanted).create(wanted)


def test_folders_that_hold_no_experiment_are_left_out(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").touch()
    broken = tmp_path / "broken-0123456789"
    broken.mkdir()
    (broken / "experiment.yaml").write_bytes(b"\xff\x00")
    assert find_runs(tmp_path) == {}
    assert find_runs(tmp_path / "missing") == {}


def test_a_thousand_runs_are_found_in_a_moment(tmp_path):
    made = experiment(tmp_path)
    directory = RunDirectory.of(made)
    directory.create(made)
    header = directory.experiment.read_text()
    for number in range(1000):
        folder = tmp_path / f"x-{number:010x}"
        folder.mkdir()
        (folder / "experiment.yaml").write_text(header.replace(made.id, f"{number:010x}"))
    start = time.perf_counter()
    assert len(find_runs(tmp_path)) == 1001
    assert time.perf_counter() - start < 3.0


@pytest.mark.fault
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
