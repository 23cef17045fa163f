import io
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report.reproduce_run import (
    AGAIN,
    RunAgain,
    again,
    reproduce_run,
    show_run_again,
    threads_of,
)
from awlab.spec.errors import InputError

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]


@pytest.fixture
def first(make_plan: MakePlan, finish: Finish) -> Path:
    """A finished run."""
    return finish(make_plan()["residual"].runs[0], 12.5).path


def repeat(first: Path) -> RunDirectory:
    """The same files, where the repetition lies."""
    target = first.parent / AGAIN / first.name
    shutil.copytree(first, target)
    return RunDirectory(target)


def printed(found: RunAgain) -> str:
    text = io.StringIO()
    show_run_again(Console(file=text, width=120), found)
    return text.getvalue()


def test_a_run_that_was_not_made_again(first: Path) -> None:
    found = reproduce_run(first)
    assert {str(one.agreement) for one in found.metrics} == {"not run here"}
    assert (found.parted, found.environment) == (None, ())
    assert "not run here" in printed(found)


def test_equal_numbers_match(first: Path) -> None:
    repeat(first)
    found = reproduce_run(first)
    assert found.runs == (str(first), str(first.parent / AGAIN / first.name))
    assert {one.name for one in found.metrics} >= {"test/top1_error", "val/loss"}
    assert {str(one.agreement) for one in found.metrics} == {"matches"}
    assert (found.parted, found.environment) == (None, ())


def test_what_differs_says_from_which_epoch_on_and_in_what_surroundings(first: Path) -> None:
    second = repeat(first)
    text = second.result.read_text().replace("12.5", "12.75")
    second.result.write_text(text)
    lines = second.metrics.read_text().splitlines()
    lines[-1] = lines[-1].replace("49", "48")
    second.metrics.write_text("\n".join(lines) + "\n")
    second.environment.write_text(second.environment.read_text().replace("2.11.0", "2.12.0"))
    found = reproduce_run(first)
    error = next(one for one in found.metrics if one.name == "test/top1_error")
    assert (error.first, error.again, str(error.agreement)) == (12.5, 12.75, "differs")
    assert found.parted == 1
    assert [(row.name, row.left, row.right) for row in found.environment] == [
        ("torch", "2.11.0", "2.12.0")
    ]
    shown = printed(found)
    assert "they part in epoch 2 of 2" in shown
    assert "torch: 2.11.0, again 2.12.0" in shown


def test_runs_may_part_at_once(first: Path) -> None:
    second = repeat(first)
    second.metrics.write_text(second.metrics.read_text().replace("50.0", "51.0"))
    found = reproduce_run(first)
    assert (found.parted, found.epochs) == (0, 2)
    assert "they part in epoch 1 of 2" in printed(found)


def test_its_pace_is_no_difference(first: Path) -> None:
    second = repeat(first)
    row = {"epoch": 0, "step": 20, "train/images_per_second": 7.5}
    second.metrics.write_text(second.metrics.read_text() + json.dumps(row) + "\n")
    assert reproduce_run(first).parted is None


def test_it_is_computed_with_as_many_threads(first: Path) -> None:
    assert threads_of(first) is None
    file = RunDirectory(first).environment
    document = json.loads(file.read_text())
    document["attempts"][-1]["threads"] = 3
    file.write_text(json.dumps(document))
    assert threads_of(first) == 3


def test_a_diverged_run_that_diverges_again_matches(make_plan: MakePlan, finish: Finish) -> None:
    first = finish(make_plan()["residual"].runs[0], math.nan).path
    repeat(first)
    assert {str(one.agreement) for one in reproduce_run(first).metrics} == {"matches"}


def test_it_is_made_again_beside_the_others_and_unseen_by_wandb(first: Path) -> None:
    experiment = again(first)
    assert RunDirectory.of(experiment).path.parent == first.parent / AGAIN
    assert (experiment.runtime.wandb, experiment.runtime.gradcam_images) == ("disabled", 0)
    assert first.name.endswith(experiment.id)


def test_only_a_finished_run_can_be_reproduced(first: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run directory"):
        reproduce_run(tmp_path)
    RunDirectory(first).result.unlink()
    with pytest.raises(InputError, match="is interrupted: only a finished run can be reproduced"):
        reproduce_run(first)


def test_plain_data(first: Path) -> None:
    repeat(first)
    document = json.loads(json.dumps(reproduce_run(first).to_json()))
    assert document["metrics"][0]["agreement"] == "matches"
