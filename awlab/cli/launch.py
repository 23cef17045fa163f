"""The verb that executes an ablation, here or on a cluster."""

import shlex
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from awlab.cli.app import AblationFile, app, console, end
from awlab.cli.backend import (
    Sharing,
    SlurmOptions,
    ray_cluster,
    read_part,
    slurm_array,
    this_machine,
)
from awlab.cli.dashboard import mirror
from awlab.cli.study import PANEL, Overrides, plan, read_plan
from awlab.execute.exit_codes import BAD_INPUT

if TYPE_CHECKING:
    from awlab.execute.backend import Backend
    from awlab.execute.selection import Selection
    from awlab.execute.slurm import Array
    from awlab.execute.stop import StopRequests
    from awlab.plan import Plan, Run
    from awlab.plan.networks import Network

SLURM = "Slurm"


@app.command(rich_help_panel=PANEL)
def ablate(
    ablation: AblationFile,
    overrides: Overrides = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, or the Slurm script, only.")
    ] = False,
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
    backend: Annotated[
        Literal["local", "ray", "slurm"],
        typer.Option(help="This machine, a Ray cluster, or an array of Slurm tasks."),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Of Ray: ray://HOST:PORT; RAY_ADDRESS, else the cluster of this machine."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="One of N processes: begin with part I, wait for no other."
        ),
    ] = None,
    partition: Annotated[str | None, typer.Option(rich_help_panel=SLURM)] = None,
    time: Annotated[
        str | None, typer.Option(rich_help_panel=SLURM, help="Of a task; then it is requeued.")
    ] = None,
    qos: Annotated[str | None, typer.Option(rich_help_panel=SLURM)] = None,
    account: Annotated[str | None, typer.Option(rich_help_panel=SLURM)] = None,
    gpus: Annotated[
        int | None, typer.Option(min=0, rich_help_panel=SLURM, help="Of a task; as a run needs.")
    ] = None,
    array_limit: Annotated[
        int | None, typer.Option(min=1, rich_help_panel=SLURM, help="Most tasks at once.")
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(rich_help_panel=SLURM, help="Another option of sbatch, as in --mem=40G."),
    ] = None,
    template: Annotated[
        Path | None, typer.Option(rich_help_panel=SLURM, help="Script to fill in, if not ours.")
    ] = None,
) -> None:
    """Execute what is missing of an ablation, then compare its cells."""
    from awlab.execute.selection import Selection

    slurm = SlurmOptions(
        partition, time, qos, account, array_limit, gpus, tuple(sbatch or ()), template
    )
    for wrong, message in (
        (rerun and retry_failed, "--rerun begins failed runs anew, too; leave out --retry-failed"),
        (address and backend != "ray", "--address: only with --backend ray"),
        (slurm.given and backend != "slurm", f"{slurm.given}: only with --backend slurm"),
        (
            (fail_fast or detach or limit or task) and backend == "slurm",
            "--fail-fast, --detach, --limit and --task are for one process, not for an array",
        ),
    ):
        if wrong:
            raise end(BAD_INPUT, message)
    again = "all" if rerun else "failed" if retry_failed else None
    selection = Selection(only or (), cell or (), limit, order, again, read_part(task))
    sharing = Sharing(devices, devices_per_run, runs_per_device, jobs)
    asked = _Asked(ablation, overrides, selection, sharing)
    if backend == "slurm":
        return _submit(asked, slurm, dry_run=dry_run)
    if dry_run:
        return plan(ablation, overrides, build=True)
    return _here(asked, backend, address, fail_fast=fail_fast, detached=detach)


@dataclass(frozen=True)
class _Asked:
    """What to execute."""

    file: Path
    overrides: list[str] | None
    selection: "Selection"
    sharing: Sharing

    @property
    def study(self) -> str:
        """Its file and the changes to that, as a shell reads them."""
        return shlex.join([str(self.file), *(self.overrides or ())])

    def plan(self) -> "Plan":
        """The study, once it is sure that it has what was selected."""
        study = read_plan(self.file, self.overrides)
        self.selection.of(study)
        return study

    @property
    def arguments(self) -> list[str]:
        """Of a command that executes the same, on what devices ever."""
        chosen = self.selection
        named = [f"--only={text}" for text in chosen.only]
        named += [f"--cell={name}" for name in chosen.cells]
        return [
            *("ablate", str(self.file), *(self.overrides or ())),
            *(*named, f"--order={chosen.order}"),
        ]


def _here(
    asked: _Asked, backend: str, address: str | None, *, fail_fast: bool, detached: bool
) -> None:
    """Be the process that executes a study, or start it."""
    study = asked.plan()
    if backend == "local":
        place = this_machine(study, asked.sharing)
        return (
            _detach(study, asked.study)
            if detached
            else _execute(study, asked, place, fail_fast=fail_fast)
        )
    if detached:
        return _detach(study, asked.study)
    place = ray_cluster(study, asked.sharing, address)
    return _execute(study, asked, place, fail_fast=fail_fast)


def _submit(asked: _Asked, slurm: SlurmOptions, *, dry_run: bool) -> None:
    """Hand a study to Slurm."""
    from awlab.execute.reopen import reopen
    from awlab.execute.slurm import check, submit
    from awlab.execute.stop import StopRequests
    from awlab.plan.networks import merge_equal, recall
    from awlab.record.study_directory import StudyDirectory
    from awlab.report.conclusion import conclude

    study, again = asked.plan(), asked.selection.again

    def array(count: int) -> "Array":
        return slurm_array(study, count, asked.arguments, asked.sharing, slurm)

    if dry_run:
        known = merge_equal(study, recall(study))
        script = array(len(asked.selection.of(known))).script(slurm.template)
        return typer.echo(script, nl=False)
    with StopRequests() as stop:
        merged = merge_equal(study, _build(study, stop))
    chosen = asked.selection.of(merged)
    if stop.code or not chosen:
        conclude(console(), merged, asked.study, chosen, stopped=bool(stop.code))
        raise typer.Exit(stop.code or _failed(merged, chosen))
    wanted = array(len(chosen))
    script = wanted.script(slurm.template)
    if again is not None:
        check(script)  # Nothing is put aside for an array that will not be.
        reopen(chosen, anew=again == "all")
    job = submit(script, StudyDirectory.of(study.ablation))
    tasks = "1 task" if wanted.tasks == 1 else f"{wanted.tasks} tasks"
    typer.echo(f"Slurm job {job} executes {study.ablation.name} in {tasks}")
    return _how_to_look(asked.study)


def _detach(study: "Plan", words: str) -> None:
    from awlab.execute.detach import detach
    from awlab.record.study_directory import StudyDirectory

    log = StudyDirectory.of(study.ablation).log
    pid = detach([argument for argument in sys.argv[1:] if argument != "--detach"], log)
    typer.echo(f"process {pid} executes {study.ablation.name} and writes {log}")
    _how_to_look(words)


def _how_to_look(study: str) -> None:
    typer.echo(f"look: awlab status {study} --watch    end: awlab cancel {study}")


def _execute(study: "Plan", asked: _Asked, place: "Backend", *, fail_fast: bool) -> None:
    from awlab.execute.outcome import Outcome
    from awlab.execute.presence import at_work
    from awlab.execute.reopen import reopen
    from awlab.execute.stop import StopRequests
    from awlab.execute.study import Study
    from awlab.plan import plan as make_plan
    from awlab.plan.networks import merge_equal, recall
    from awlab.record.study_directory import StudyDirectory
    from awlab.report.conclusion import conclude
    from awlab.report.live import StudyView

    selection = asked.selection
    screen, stop = console(), StopRequests()
    networks = recall(study)
    with stop, at_work(StudyDirectory.of(study.ablation)):
        if selection.of(merge_equal(study, networks)):
            networks = _build(study, stop)
        merged = merge_equal(study, networks)
        chosen = [] if stop.code else selection.of(merged)
        if selection.again is not None:
            reopen(chosen, anew=selection.again == "all")
        executed = Study(
            merged,
            place,
            stop,
            retries=study.ablation.resources.retries,
            fail_fast=fail_fast,
            waits=selection.part is None,
            tries=selection.part and ceil(len(chosen) / selection.part[1]),
        )
        outcomes: dict[str, Outcome] = {}
        if chosen:
            with StudyView(merged, chosen, screen, place.devices.capacity) as view:
                outcomes = executed.execute(chosen, view)
    done = merge_equal(make_plan(study.ablation), networks)
    conclude(screen, done, asked.study, chosen, stopped=bool(stop.code))
    if chosen and not stop.code and set(done.states) == {"finished"}:
        mirror(done)
    mine = [run for run in chosen if outcomes.get(run.id) is not Outcome.CLAIMED]
    code = stop.code or _failed(done, mine)
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
