import tomllib
from pathlib import Path

import pytest

from awlab import doctor
from awlab.doctor import Check, examine


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HOME", str(tmp_path))


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_sound_machine_has_no_problem(tmp_path: Path) -> None:
    checks = by_name(examine(tmp_path / "runs", tmp_path / "data"))
    assert not [check for check in checks.values() if check.verdict == "problem"]
    assert {"torch", "cpu", "disk", "data", "wandb mode", "extra demo"} <= checks.keys()
    assert checks["wandb mode"].detail.startswith("offline")
    assert "holds no data set yet" in checks["data"].detail


def test_data_sets_are_listed(tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python").mkdir()
    assert by_name(examine(tmp_path, tmp_path))["data"].detail.endswith("cifar-100-python")


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK_GB", 1e9)
    assert by_name(examine(tmp_path, tmp_path))["disk"].verdict == "problem"


def test_a_folder_that_cannot_be_written_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    check = by_name(examine(tmp_path / "deep" / "runs", tmp_path))["runs"]
    assert check.verdict == "problem"
    assert "choose another runtime.root" in check.detail


def test_every_extra_for_users_is_looked_for() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert doctor.EXTRAS.keys() == project["optional-dependencies"].keys() - {"dev"}


def test_a_missing_extra_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "demo", ("no_such_module",))
    check = by_name(examine(tmp_path, tmp_path))["extra demo"]
    assert check == Check("extra demo", "note", "not installed: pip install 'awlab[demo]'")
