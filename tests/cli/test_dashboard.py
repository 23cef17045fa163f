import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb

from tests.train.fake_wandb import FakeWandb, serve

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWandb]:
    yield from serve(monkeypatch)


def test_the_specification_needs_no_server(invoke: Invoke, study_file: Path) -> None:
    code, out, error = invoke("dashboard", str(study_file), "--json")
    assert (code, error) == (0, "")
    names = [
        section["name"]
        for section in json.loads(out)["spec"]["section"]["panelBankConfig"]["sections"]
    ]
    assert names == ["Answer", "Results by cell", "Learning curves", "Grad-CAM", "System"]


def test_it_is_saved_and_its_address_printed(
    invoke: Invoke, study_file: Path, server: FakeWandb
) -> None:
    code, out, _ = invoke("dashboard", str(study_file))
    assert code == 0
    assert out.startswith(f"{server.url}/lab/awlab?nw=")


def test_without_a_key_it_says_what_to_do(invoke: Invoke, study_file: Path) -> None:
    wandb.teardown()
    code, out, error = invoke("dashboard", str(study_file))
    assert (code, out) == (2, "")
    assert "no API key was found (wandb login stores one)" in error


def test_a_study_that_is_finished_is_mirrored(
    invoke: Invoke, study_file: Path, script: Callable[[str], None]
) -> None:
    script("finish()")
    study_file.write_text(study_file.read_text().replace("wandb: disabled", "wandb: offline"))
    code, out, _ = invoke("ablate", str(study_file))
    assert code == 0
    (line,) = (line for line in out.splitlines() if line.startswith("the study in W&B: "))
    folder = Path(line.removeprefix("the study in W&B: wandb sync "))
    assert folder.is_relative_to(Path.cwd() / "studies" / "tiny" / "wandb")
    assert folder.is_dir()
    assert "the study in W&B" not in invoke("ablate", str(study_file))[1], "nothing was new"


@pytest.mark.slow
def test_a_report_is_mirrored_on_request(
    invoke: Invoke, study_file: Path, script: Callable[[str], None]
) -> None:
    script("finish()")
    assert "W&B" not in invoke("ablate", str(study_file))[1], "it is disabled"
    study_file.write_text(study_file.read_text().replace("wandb: disabled", "wandb: offline"))
    assert "W&B" not in invoke("report", str(study_file), "--format", "md")[1]
    assert "the study in W&B: " in invoke("report", str(study_file), "--format", "md", "--wandb")[1]
    out = invoke("report", str(study_file), "--format", "md", "--wandb", "--json")[1]
    assert json.loads(out).keys() == {"md"}
