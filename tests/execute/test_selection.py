import pytest

from awlab.execute.selection import Again, Selection
from awlab.plan import Plan, Run, plan
from awlab.spec.ablation import Ablation
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


def test_a_seed_of_all_cells_comes_first_also_when_some_are_finished(tiny_plan: Plan) -> None:
    first, *others = [cell.name for cell in tiny_plan.cells]
    run = tiny_plan[first].runs[0]
    run.directory.create(run.experiment)
    run.directory.result.write_text("{}")
    left = names(Selection().of(plan(tiny_plan.ablation)))
    assert left == [(cell, 0) for cell in others] + [(cell, 1) for cell in (first, *others)]


def test_only_cells_and_limit(tiny_plan: Plan) -> None:
    only = names(Selection(only=["conv=aw", "lr=0.2"]).of(tiny_plan))
    assert only == [("conv=aw,lr=0.2", 0), ("conv=aw,lr=0.2", 1)]
    either = names(Selection(only=["conv=aw", "lr=0.1", "lr=0.2"], limit=2).of(tiny_plan))
    assert either == [("conv=aw,lr=0.1", 0), ("conv=aw,lr=0.2", 0)]
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


def test_an_excluded_cell_is_not_run(tiny_plan: Plan) -> None:
    exclusion = {"when": {"conv": "aw", "lr": 0.2}, "reason": "too slow"}
    data = tiny_plan.ablation.model_dump(mode="json") | {"exclude": [exclusion]}
    smaller = plan(Ablation.model_validate(data))
    assert "conv=aw,lr=0.2" not in {run.cell for run in Selection().of(smaller)}
    with pytest.raises(InputError, match=r"cell 'conv=aw,lr=0.2' is excluded: too slow"):
        Selection(cells=["conv=aw,lr=0.2"]).of(smaller)


def test_which_runs_that_are_over_are_started_again(tiny_plan: Plan) -> None:
    kinds = ("finished", "error", "diverged", "killed", "disk full")
    runs = dict(zip(kinds, tiny_plan.runs, strict=False))
    for kind, run in runs.items():
        run.directory.create(run.experiment)
        file = run.directory.result if kind == "finished" else run.directory.error
        file.write_text(f"{kind}\n")
    today = plan(tiny_plan.ablation)

    def chosen(again: Again | None) -> set[str]:
        found = {run.id for run in Selection(again=again).of(today)}
        assert found.issuperset(run.id for run in tiny_plan.runs[len(kinds) :])
        return {kind for kind, run in runs.items() if run.id in found}

    assert chosen(None) == {"killed", "disk full"}
    assert chosen("failed") == {"error", "diverged", "killed", "disk full"}
    assert chosen("all") == set(kinds)
