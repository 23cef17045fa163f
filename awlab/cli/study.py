"""The verbs that plan an ablation and describe it to others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awlab.cli.app import (
    AblationFile,
    AsJSON,
    app,
    console,
    print_json,
)

if TYPE_CHECKING:
    from awlab.plan import Plan
    from awlab.plan.bill import Estimate

PANEL = "One ablation"
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Changes to the file: seeds=3 base.training.epochs=5.",
    ),
]


@app.command(rich_help_panel=PANEL)
def plan(
    ablation: AblationFile,
    overrides: Overrides = None,
    *,
    build: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Build every network: errors, parameters, MACs, cells that are the same network.",
        ),
    ] = False,
    sd: Annotated[
        float | None,
        typer.Option(min=0, help="Sd of paired differences, to say what the seeds can show."),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Train a few steps of every cell here, to estimate time and disk."
        ),
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Show the cells of an ablation, what is done, what is left to pay, what it can show."""
    from awlab.plan.bill import bill, power
    from awlab.plan.networks import merge_equal, recall
    from awlab.report.plan_view import plan_document, show_plan

    study = read_plan(ablation, overrides)
    if build or measure:
        from awlab.preflight import build_networks

        networks = build_networks(study)
    else:
        networks = recall(study)
    study = merge_equal(study, networks)
    costs = {name: (network.parameters, network.gmacs) for name, network in networks.items()}
    estimates = _estimates(study) if measure else None
    bill_, power_ = bill(study, estimates), power(study, sd)
    if as_json:
        print_json(plan_document(study, bill_, power_, costs or None))
    else:
        show_plan(console(), study, bill_, power_, costs or None)


def _estimates(plan: "Plan") -> "dict[str, Estimate]":
    """What a run of each cell costs, for cells with runs of their own that are left."""
    from awlab.train.pace import estimate

    return {
        cell.name: estimate(cell.runs[0].experiment)
        for cell in plan.cells
        if cell.same_as is None and any(run.state != "finished" for run in cell.runs)
    }


def known_plan(path: Path, overrides: list[str] | None) -> "Plan":
    """Plan a study; cells that are known to build the same network share their runs."""
    from awlab.plan.networks import merge_equal, recall

    study = read_plan(path, overrides)
    return merge_equal(study, recall(study))


def read_plan(path: Path, overrides: list[str] | None) -> "Plan":
    """Plan the study in a file; cells that build the same network are not merged yet."""
    from awlab.plan import plan as make_plan
    from awlab.plan import read_ablation

    return make_plan(*read_ablation(path, overrides or []))
