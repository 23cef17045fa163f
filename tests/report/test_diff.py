import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report.diff import Row, RunDiff, diff, show_diff
from awlab.spec.errors import InputError

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]
MINUS, NOTHING = "\N{MINUS SIGN}", "\N{EN DASH}"


@pytest.fixture
def runs(make_plan: MakePlan, finish: Finish) -> tuple[Path, Path]:
    """Seed 0 of residual and of product, which is better and has less parameters."""
    plan = make_plan()
    left = finish(plan["residual"].runs[0], 12.5)
    right = finish(plan["product"].runs[0], 11.25, parameters=900)
    return left.path, right.path


def printed(found: RunDiff) -> str:
    text = io.StringIO()
    show_diff(Console(file=text, width=120), found)
    return text.getvalue()


def test_what_differs_in_the_spec(runs: tuple[Path, Path]) -> None:
    found = diff(*runs)
    assert [row for row in found.spec if not row.name.startswith(("name", "runtime", "paper"))] == [
        Row("model.conv.f2", "residual", "product")
    ]
    assert found.spec[0].name == "model.conv.f2", "what can change a result comes first"
    assert found.ids[0] != found.ids[1]
    assert found.states == ("finished", "finished")


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ({"on": {"kind": "se"}, "off": None}, Row("model.attention", {"kind": "se"}, None)),
        (
            {"se": {"kind": "se", "reduction": 8}, "cbam": {"kind": "cbam"}},
            Row("model.attention", {"kind": "se", "reduction": 8}, {"kind": "cbam"}),
        ),
    ],
)
def test_nodes_of_different_kinds_are_shown_whole(
    make_plan: MakePlan, finish: Finish, values: dict, row: Row
) -> None:
    axes = {"attention": {"path": "model.attention", "values": values}}
    plan = make_plan(axes=axes, baseline=next(iter(values)))
    left, right = (finish(cell.runs[0], 1.0).path for cell in plan.cells)
    assert diff(left, right).spec[0] == row


def test_results_stand_side_by_side(runs: tuple[Path, Path]) -> None:
    rows = {row.name: (row.left, row.right) for row in diff(*runs).metrics}
    assert rows["test/top1_error"] == (12.5, 11.25)
    assert rows["val/top1_error (last epoch)"] == (49.0, 49.0)
    assert rows["val/top1_error (best epoch)"] == (49.0, 49.0)
    assert rows["parameters"] == (1000, 900)
    assert rows["peak_memory_bytes"] == (2**30, 2**30)


def test_what_differs_in_the_environment(runs: tuple[Path, Path]) -> None:
    assert diff(*runs).environment == ()
    path = RunDirectory(runs[1]).environment
    document = json.loads(path.read_text())
    document["attempts"][0]["versions"] = {"torch": "2.12.0", "python": "3.11.7"}
    document["attempts"][0]["devices"] = ["NVIDIA H200"]
    document["attempts"][0]["code"]["awlab"] = {"commit": "b" * 40, "dirty": "cafe"}
    path.write_text(json.dumps(document))
    assert diff(*runs).environment == (
        Row("awlab", "0.1.0", None),
        Row("torch", "2.11.0", "2.12.0"),
        Row("commit of awlab", "a" * 12, f"{'b' * 12} with uncommitted changes cafe"),
        Row("device", "NVIDIA H100", "NVIDIA H200"),
    )


def test_an_unfinished_run_has_no_results(runs: tuple[Path, Path]) -> None:
    RunDirectory(runs[1]).result.unlink()
    found = diff(*runs)
    assert found.states == ("finished", "interrupted")
    assert {row.right for row in found.metrics} == {None}
    assert NOTHING in printed(found)


def test_what_is_printed(runs: tuple[Path, Path]) -> None:
    lines = [line.split() for line in printed(diff(*runs)).splitlines()]
    assert lines[0] == ["Different", "experiments."]
    assert ["model.conv.f2", "residual", "product"] in lines
    assert ["environment:", "no", "difference"] in lines
    assert ["test/top1_error", "12.5", "11.25", f"{MINUS}1.25"] in lines
    assert ["parameters", "1000", "900", f"{MINUS}100"] in lines
    assert ["attempts", "1", "1", "0"] in lines


def test_a_run_beside_itself(runs: tuple[Path, Path]) -> None:
    found = diff(runs[0], runs[0])
    assert (found.spec, found.environment) == ((), ())
    assert printed(found).startswith("The same experiment.\n")
    assert str(runs[0])[:20] in printed(found), "equal names are told apart by their folders"


def test_plain_data(runs: tuple[Path, Path], finish: Finish, make_plan: MakePlan) -> None:
    finish(make_plan()["product"].runs[0], math.nan)
    document = diff(*runs).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {"name": "test/top1_error", "left": 12.5, "right": None} in document["metrics"]


def test_a_folder_without_a_run(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run directory: it has no experiment\.yaml"):
        diff(runs[0], tmp_path)


@pytest.mark.parametrize("text", ["{", "name: x\n"])
def test_a_damaged_run(runs: tuple[Path, Path], text: str) -> None:
    RunDirectory(runs[1]).experiment.write_text(text)
    with pytest.raises(InputError, match=r"experiment\.yaml"):
        diff(*runs)


def test_a_damaged_result(runs: tuple[Path, Path]) -> None:
    RunDirectory(runs[1]).result.write_text("{")
    with pytest.raises(InputError, match="is not the result of a run"):
        diff(*runs)


def test_names_are_not_markup(runs: tuple[Path, Path]) -> None:
    path = RunDirectory(runs[1]).environment
    path.write_text(path.read_text().replace("NVIDIA H100", "[bold]x[/red]"))
    assert "[bold]x[/red]" in printed(diff(*runs))
