import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from awlab.plan import Plan, Run
from awlab.record.run_directory import RunDirectory
from awlab.report.provenance import Provenance, provenance

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]


@pytest.fixture
def plan(make_plan: MakePlan, finish: Finish) -> Plan:
    """Three of four runs are finished."""
    for run in make_plan().runs[:3]:
        finish(run, 10.0)
    return make_plan()


def change(run: Run, **attempt: Any) -> None:
    path = run.directory.environment
    attempts = json.loads(path.read_text())["attempts"]
    path.write_text(json.dumps({"attempts": [*attempts, attempts[-1] | attempt]}))


def test_finished_runs_are_summed_up(plan: Plan) -> None:
    assert provenance(plan) == Provenance(
        runs=3,
        attempts=3,
        seconds=180.0,
        began="2026-11-22T10:00:00+00:00",
        ended="2026-11-22T10:00:00+00:00",
        versions={"python": {"3.11.7": 3}, "awlab": {"0.1.0": 3}, "torch": {"2.11.0": 3}},
        facts={
            "commit of awlab": {"a" * 12: 3},
            "commit of the working directory": {"outside of a repository": 3},
            "device": {"NVIDIA H100": 3},
            "platform": {"Linux": 3},
            "command": {"awlab ablate study.yaml": 3},
        },
    )


def test_runs_that_agree_have_no_warning(plan: Plan) -> None:
    assert list(provenance(plan).warnings) == []


@pytest.mark.parametrize(
    ("attempt", "warning"),
    [
        (
            {"versions": {"torch": "2.12.0"}},
            "The runs differ in torch: 2.12.0 (1 run), 2.11.0 (2 runs).",
        ),
        (
            {"code": {"awlab": {"commit": "b" * 40, "dirty": "123abc"}}},
            (
                f"The runs differ in commit of awlab: {'b' * 12} with uncommitted changes 123abc "
                f"(1 run), {'a' * 12} (2 runs)."
            ),
        ),
        (
            {"devices": ["NVIDIA H200", "NVIDIA H200"]},
            "The runs differ in device: 2 x NVIDIA H200 (1 run), NVIDIA H100 (2 runs).",
        ),
    ],
)
def test_what_differs_between_compared_runs_is_said(
    plan: Plan, attempt: dict[str, Any], warning: str
) -> None:
    change(plan.runs[0], **attempt)
    assert list(provenance(plan).warnings) == [warning]


def test_the_last_attempt_counts(plan: Plan) -> None:
    for run in plan.runs[:3]:
        change(run, started="2026-11-23T00:00:00+00:00", platform="Darwin")
    found = provenance(plan)
    assert found.facts["platform"] == {"Darwin": 3}
    assert found.began == "2026-11-23T00:00:00+00:00"


@pytest.mark.parametrize(
    "text",
    ["", "\x00", "[]", '{"attempts": 7}', '{"attempts": []}', '{"attempts": [{"devices": 1}]}'],
)
def test_a_damaged_record_is_left_out(plan: Plan, text: str) -> None:
    for run in plan.runs[:3]:
        run.directory.environment.write_text(text)
    found = provenance(plan)
    assert (found.runs, found.versions, found.facts, found.began) == (3, {}, {}, "")


def test_a_repository_that_is_also_the_working_directory_is_said_once(plan: Plan) -> None:
    state = {"commit": "b" * 40, "dirty": None}
    for run in plan.runs[:3]:
        change(run, code={"awlab": state, "working_directory": state})
    assert "commit of the working directory" not in provenance(plan).facts
    assert provenance(plan).facts["commit of awlab"] == {"b" * 12: 3}


def test_of_many_values_some_are_listed(make_plan: MakePlan, finish: Finish) -> None:
    for run in make_plan(seeds=5).runs:
        finish(run, 10.0)
        change(run, devices=[f"GPU {run.seed}"])
    (warning,) = provenance(make_plan(seeds=5)).warnings
    assert warning == (
        "The runs differ in device: GPU 0 (2 runs), GPU 1 (2 runs), GPU 2 (2 runs) and 2 more."
    )


def test_a_command_is_shown_without_what_cannot_change_a_result(plan: Plan) -> None:
    for run in plan.runs[:3]:
        change(run, command=["awlab", "run", "experiment.yaml", 'runtime={"devices":1}'])
    assert provenance(plan).facts["command"] == {"awlab run experiment.yaml": 3}


def test_a_long_command_is_cut(plan: Plan) -> None:
    change(plan.runs[0], command=["awlab", "x" * 999])
    assert max(len(text) for text in provenance(plan).facts["command"]) == 300


def test_nothing_finished(make_plan: MakePlan) -> None:
    assert provenance(make_plan()) == Provenance(0, 0, 0, "", "", {}, {})


def test_uncommitted_changes_that_a_run_kept_are_shown(plan: Plan) -> None:
    first, second, third = plan.runs[:3]
    for run, dirty in ((first, "a" * 16), (second, "b" * 16), (third, "../../secret")):
        change(run, code={"awlab": {"commit": "c" * 40, "dirty": dirty}})
    first.directory.patch("a" * 16).write_text("-one\n+two\n")
    assert provenance(plan).patches == {"a" * 16: "-one\n+two\n"}
    first.directory.patch("a" * 16).write_text("x" * 20_001)
    text = provenance(plan).patches["a" * 16]
    assert text.endswith("x\n... 1 more characters")


def test_uncommitted_changes_that_runs_share_are_read_once(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    patch = RunDirectory.patch

    def counted(directory: RunDirectory, digest: str) -> Path:
        read.append(digest)
        return patch(directory, digest)

    for run in plan.runs[:3]:
        change(run, code={"awlab": {"commit": "c" * 40, "dirty": "a" * 16}})
        run.directory.patch("a" * 16).write_text("-one\n+two\n")
    monkeypatch.setattr(RunDirectory, "patch", counted)
    assert provenance(plan).patches == {"a" * 16: "-one\n+two\n"}
    assert read == ["a" * 16]
