import pytest

from awlab.execute.selection import Selection
from awlab.plan import Plan, Run, plan
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError


def names(runs: list[Run]) -> list[tuple[str, int]]:
    return [(run.cell, run.seed) for run in runs]


def test_cells_first_keeps_an_unfinished_study_balanced(tiny_plan: Plan) -> None:
    cells = [cell.name for cell in tiny_plan.cells]
    everything = names(Selection().of(tiny_plan))
    assert everything == [(cell, seed) for seed in (0, 1) for cell in cells]


def test_seeds_first_finishes_a_cell_before_the_next(tiny_plan: Plan) -> None:
    cells = [cell.name for cell in tiny_plan.cells]
    everything = names(Selection(order="seeds-first").of(tiny_plan))
    assert everything == [(cell, seed) for cell in cells for seed in (0, 1)]


def test_only_cells_and_limit(tiny_plan: Plan) -> None:
    only = names(Selection(only=["conv=aw", "lr=0.2"]).of(tiny_plan))
    assert only == [("conv=aw,lr=0.2", 0), ("conv=aw,lr=0.2", 1)]
    cells = names(Selection(cells=["conv=plain,lr=0.1"], limit=1).of(tiny_plan))
    assert cells == [("conv=plain,lr=0.1", 0)]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(only=["conv"]), "--only conv: expected AXIS=LABEL"),
        (Selection(only=["cnv=aw"]), "no axis 'cnv'.*Did you mean 'conv'"),
        (Selection(only=["conv=aww"]), "no label of axis conv 'aww'.*Did you mean 'aw'"),
        (Selection(cells=["nothing"]), "no cell 'nothing'; expected one of conv=plain,lr=0.1"),
    ],
)
def test_what_the_plan_does_not_have(tiny_plan: Plan, selection: Selection, message: str) -> None:
    with pytest.raises(InputError, match=message):
        selection.of(tiny_plan)


def test_what_is_done_is_left_alone_and_what_failed_unless_asked(tiny_plan: Plan) -> None:
    finished, failed, interrupted = tiny_plan.runs[:3]
    for run in (finished, failed, interrupted):
        RunDirectory(run.path).create(run.experiment)
    finished.directory.result.write_text("{}")
    failed.directory.error.write_text("error\n")
    today = plan(tiny_plan.ablation)
    assert {run.state for run in today.runs[:3]} == {"finished", "failed", "interrupted"}
    assert len(Selection().of(today)) == len(today.runs) - 2
    retried = Selection(retry_failed=True).of(today)
    assert len(retried) == len(today.runs) - 1
    assert finished.id not in {run.id for run in retried}
