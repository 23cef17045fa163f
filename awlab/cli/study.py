"""The verbs for an ablation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from awlab.cli.app import (
    AblationFile,
    AsJSON,
    Overrides,
    app,
    console,
    print_json,
)

if TYPE_CHECKING:
    from awlab.plan import Plan

PANEL = "One ablation"


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
    as_json: AsJSON = False,
) -> None:
    """Show the cells of an ablation, what is done, what is left to pay, what it can show."""
    study = _plan(ablation, overrides)
    costs = None
    if build:
        study, costs = _preflight(study)
    from awlab.plan.bill import bill, power
    from awlab.report.plan_view import plan_document, show_plan

    bill_, power_ = bill(study), power(study, sd)
    if as_json:
        print_json(plan_document(study, bill_, power_, costs))
    else:
        show_plan(console(), study, bill_, power_, costs)


@app.command(rich_help_panel=PANEL)
def status(ablation: AblationFile, overrides: Overrides = None, *, as_json: AsJSON = False) -> None:
    """Show what is done of an ablation."""
    study = _plan(ablation, overrides)
    if as_json:
        print_json(study.to_json())
        return
    from awlab.report.live import StudyView

    console().print(StudyView(study, [run.id for run in study.runs], console()).picture())


@app.command(rich_help_panel=PANEL)
def ablate(
    ablation: AblationFile,
    overrides: Overrides = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    devices: Annotated[
        str | None, typer.Option(help="all, cpu, or GPUs as in 0,2-3; all if left out.")
    ] = None,
    devices_per_run: Annotated[
        int | None, typer.Option(min=1, help="GPUs (on a CPU: processes) that one run gets.")
    ] = None,
    runs_per_device: Annotated[
        int | None, typer.Option(min=1, help="Runs that share a GPU.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs at once on a CPU; one per core.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="AXIS=LABEL that cells must have.")] = None,
    cell: Annotated[list[str] | None, typer.Option(help="Name of a cell to run.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most runs.")] = None,
    order: Annotated[
        Literal["cells-first", "seeds-first"],
        typer.Option(help="One seed of all cells first, or all seeds of one cell."),
    ] = "cells-first",
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast/--keep-going", help="End the others when a run fails.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Start failed runs again, too.")
    ] = False,
) -> None:
    """Execute what is missing of an ablation, then compare its cells."""
    if dry_run:
        return plan(ablation, overrides, build=True)
    study, _ = _preflight(_plan(ablation, overrides))
    from awlab.execute.devices import Devices, available_cores, choose_gpus
    from awlab.execute.selection import Selection
    from awlab.execute.study import execute
    from awlab.report.live import StudyView

    resources = study.ablation.resources
    gpus = choose_gpus(devices)
    per_run = devices_per_run or resources.devices_per_run
    shared = runs_per_device or resources.runs_per_device
    lent = Devices(
        gpus,
        devices_per_run=per_run,
        runs_at_once=shared if gpus else jobs or max(1, available_cores() // per_run),
    )
    chosen = Selection(only or (), cell or (), limit, order, retry_failed).of(study)
    screen = console()
    with StudyView(study, [run.id for run in chosen], screen, lent.capacity) as view:
        outcomes = execute(chosen, lent, view, retries=resources.retries, fail_fast=fail_fast)
    if any(outcome != "finished" for outcome in outcomes.values()):
        raise typer.Exit(1)
    return None


def _plan(path: Path, overrides: list[str] | None) -> "Plan":
    from awlab.plan import plan as make_plan
    from awlab.plan import read_ablation

    return make_plan(*read_ablation(path, overrides or []))


def _preflight(plan: "Plan") -> "tuple[Plan, dict[str, tuple[int, float]]]":
    from awlab.preflight import preflight

    checked = preflight(plan)
    totals = {name: profile.total for name, profile in checked.profiles.items()}
    costs = {name: (total.parameters, total.macs / 1e9) for name, total in totals.items()}
    return checked.plan, costs
