"""The verbs that plan and execute an ablation."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from awlab.cli.app import (
    AblationFile,
    AsJSON,
    app,
    console,
    end,
    print_json,
)
from awlab.execute.exit_codes import BAD_INPUT

if TYPE_CHECKING:
    from awlab.execute.devices import Devices
    from awlab.execute.selection import Selection
    from awlab.execute.stop import StopRequests
    from awlab.plan import Plan, Run
    from awlab.plan.networks import Network

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
    as_json: AsJSON = False,
) -> None:
    """Show the cells of an ablation, what is done, what is left to pay, what it can show."""
    from awlab.plan.bill import bill, power
    from awlab.plan.networks import merge_equal, recall
    from awlab.report.plan_view import plan_document, show_plan

    study = read_plan(ablation, overrides)
    if build:
        from awlab.preflight import build_networks

        networks = build_networks(study)
    else:
        networks = recall(study)
    study = merge_equal(study, networks)
    costs = {name: (network.parameters, network.gmacs) for name, network in networks.items()}
    bill_, power_ = bill(study), power(study, sd)
    if as_json:
        print_json(plan_document(study, bill_, power_, costs or None))
    else:
        show_plan(console(), study, bill_, power_, costs or None)


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
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Begin finished runs anew, too; old ones are put aside.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Go on in the background, without this terminal.")
    ] = False,
) -> None:
    """Execute what is missing of an ablation, then compare its cells."""
    if dry_run:
        return plan(ablation, overrides, build=True)
    from awlab.execute.selection import Selection

    if rerun and retry_failed:
        raise end(BAD_INPUT, "--rerun begins failed runs anew, too; leave out --retry-failed")
    study = read_plan(ablation, overrides)
    lent = _lend(study, devices, devices_per_run, runs_per_device, jobs)
    again = "all" if rerun else "failed" if retry_failed else None
    selection = Selection(only or (), cell or (), limit, order, again)
    selection.of(study)  # Complain while somebody is looking.
    if detach:
        return _detach(study, ablation)
    return _execute(study, selection, lent, fail_fast=fail_fast, file=ablation)


@app.command(rich_help_panel=PANEL)
def export(
    ablation: AblationFile,
    overrides: Overrides = None,
    *,
    to: Annotated[Literal["wandb-sweep"], typer.Option(help="What for.")] = "wandb-sweep",
) -> None:
    """Print an ablation as something else: a W&B sweep that agents execute."""
    from awlab.plan.networks import merge_equal, recall
    from awlab.plan.sweep import wandb_sweep
    from awlab.spec.write_yaml import write_yaml

    assert to == "wandb-sweep"
    study = read_plan(ablation, overrides)
    merged = merge_equal(study, recall(study))
    typer.echo(write_yaml(wandb_sweep(merged, ablation, overrides or ())), nl=False)


def read_plan(path: Path, overrides: list[str] | None) -> "Plan":
    """Plan the study in a file; cells that build the same network are not merged yet."""
    from awlab.plan import plan as make_plan
    from awlab.plan import read_ablation

    return make_plan(*read_ablation(path, overrides or []))


def _lend(
    study: "Plan",
    devices: str | None,
    devices_per_run: int | None,
    runs_per_device: int | None,
    jobs: int | None,
) -> "Devices":
    from awlab.execute.devices import Devices, available_cores, choose_gpus

    resources = study.ablation.resources
    gpus = choose_gpus(devices)
    if gpus and jobs is not None:
        raise end(BAD_INPUT, "--jobs is for runs on a CPU; use --runs-per-device, or --devices cpu")
    if not gpus and runs_per_device is not None:
        raise end(BAD_INPUT, "--runs-per-device is for GPUs, and there is none; use --jobs")
    per_run = devices_per_run or resources.devices_per_run
    shared = runs_per_device or (1 if per_run > 1 else resources.runs_per_device)
    return Devices(
        gpus,
        devices_per_run=per_run,
        runs_at_once=shared if gpus else jobs or max(1, available_cores() // per_run),
    )


def _detach(study: "Plan", file: Path) -> None:
    from awlab.execute.detach import detach
    from awlab.record.study_directory import StudyDirectory

    log = StudyDirectory.of(study.ablation).log
    pid = detach([argument for argument in sys.argv[1:] if argument != "--detach"], log)
    typer.echo(f"process {pid} executes {study.ablation.name} and writes {log}")
    typer.echo(f"look: awlab status {file} --watch    end: awlab cancel {file}")


def _execute(
    study: "Plan", selection: "Selection", lent: "Devices", *, fail_fast: bool, file: Path
) -> None:
    from awlab.execute.presence import at_work
    from awlab.execute.reopen import reopen
    from awlab.execute.stop import StopRequests
    from awlab.execute.study import Study
    from awlab.plan import plan as make_plan
    from awlab.plan.networks import merge_equal, recall
    from awlab.record.study_directory import StudyDirectory
    from awlab.report.conclusion import conclude
    from awlab.report.live import StudyView

    screen, stop = console(), StopRequests()
    networks = recall(study)
    with stop, at_work(StudyDirectory.of(study.ablation)):
        if selection.of(merge_equal(study, networks)):
            networks = _build(study, stop)
        merged = merge_equal(study, networks)
        chosen = [] if stop.code else selection.of(merged)
        if selection.again is not None:
            reopen(chosen, anew=selection.again == "all")
        retries = study.ablation.resources.retries
        executed = Study(merged, lent, stop, retries=retries, fail_fast=fail_fast)
        if chosen:
            with StudyView(merged, chosen, screen, lent.capacity) as view:
                executed.execute(chosen, view)
    done = merge_equal(make_plan(study.ablation), networks)
    conclude(screen, done, file, chosen, stopped=bool(stop.code))
    code = stop.code or _failed(done, chosen)
    if code:
        raise typer.Exit(code)


def _build(study: "Plan", stop: "StopRequests") -> "dict[str, Network]":
    from awlab.execute.networks import build_networks

    with console().status("building the networks"):
        return build_networks(study, stop)


def _failed(done: "Plan", chosen: "list[Run]") -> int:
    """1 when a run that was asked for has no result; when none was, if any has failed."""
    from awlab.plan.bill import results

    finished = {run.id for run, _ in results(done.runs)}
    wanted = chosen or [run for run in done.runs if run.state in ("failed", "finished")]
    return int(not finished.issuperset(run.id for run in wanted))
