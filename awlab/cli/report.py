"""The verbs that say what runs show."""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awlab.cli.app import AblationFile, AsJSON, Overrides, app, console, end, print_json
from awlab.cli.dashboard import mirror
from awlab.cli.study import PANEL, known_plan, read_plan
from awlab.execute.exit_codes import BAD_INPUT, FAILED

if TYPE_CHECKING:
    from awlab.complexity import Comparison
    from awlab.plan import Plan

FORMATS = "md,csv,latex,json,html"
PAPER_TABLES = "ablations/paper_{name}.yaml"


@app.command(rich_help_panel=PANEL)
def report(
    ablation: AblationFile,
    overrides: Overrides = None,
    *,
    formats: Annotated[
        str, typer.Option("--format", help="One or more of these, with commas.")
    ] = FORMATS,
    out: Annotated[
        Path | None, typer.Option(help="Folder; studies/NAME/report if left out.")
    ] = None,
    wandb: Annotated[
        bool, typer.Option("--wandb", help="Show it in W&B as well, in the run of the study.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Write what an ablation shows: tables, and a page that needs nothing else."""
    from awlab.report.write import write_report

    study = known_plan(ablation, overrides)
    wanted = [name.strip() for name in formats.split(",")]
    paths = write_report(study, wanted, out)
    if as_json:
        print_json({name: str(path) for name, path in paths.items()})
    else:
        for path in paths.values():
            typer.echo(path)
    if wandb:
        mirror(study, quiet=as_json)


@app.command(rich_help_panel=PANEL)
def reproduce(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|TABLE|ABLATION",
            help="A run directory; table1, table2, table3; or an ablation with printed numbers.",
        ),
    ],
    overrides: Overrides = None,
    *,
    run: Annotated[
        bool, typer.Option("--run", help="First run what is missing; as awlab ablate does.")
    ] = False,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Of a match, percentage points; 0.5 if left out.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Say row by row whether a published table, or one run, is reproduced by the runs there are."""
    if Path(target).is_dir():
        if overrides or tolerance is not None:
            raise end(BAD_INPUT, "a run is made again as it was; leave out overrides, --tolerance")
        return _reproduce_run(Path(target), run=run, as_json=as_json)
    is_table = re.fullmatch(r"table\d+", target) and not Path(target).exists()
    file = Path(PAPER_TABLES.format(name=target) if is_table else target)
    return _reproduce_table(file, overrides, tolerance, run=run, as_json=as_json)


def _reproduce_table(
    file: Path,
    overrides: list[str] | None,
    tolerance: float | None,
    *,
    run: bool,
    as_json: bool,
) -> None:
    from awlab.report.collect import collect
    from awlab.report.reproduce import TOLERANCE, show_reproduction
    from awlab.report.reproduce import reproduce as compare

    code = _execute(file, overrides, quiet=as_json) if run else 0
    study = read_plan(file, overrides)
    if not any(cell.paper for cell in study.cells):
        raise end(BAD_INPUT, f"{file}: has no `paper` to compare with")
    limit = TOLERANCE if tolerance is None else tolerance
    rows = compare(study, collect(study), _costs(study), tolerance=limit)
    if as_json:
        print_json([row.to_json() for row in rows])
    else:
        show_reproduction(console(), rows)
    if code:
        raise typer.Exit(code)


def _execute(file: Path, overrides: list[str] | None, *, quiet: bool) -> int:
    """Run what is missing; return 1 when a run failed, which its row will show.

    Args:
        file: Of the study.
        overrides: Of the file.
        quiet: Whether standard output is kept for a document.
    """
    from awlab.cli.launch import ablate

    try:
        with redirect_stdout(sys.stderr) if quiet else nullcontext():
            ablate(file, overrides)
    except typer.Exit as end_:
        if end_.exit_code != FAILED:
            raise
        return end_.exit_code
    return 0


def _reproduce_run(folder: Path, *, run: bool, as_json: bool) -> None:
    from awlab.record.record import read_result
    from awlab.record.run_directory import RunDirectory
    from awlab.report.reproduce import beside_paper, show_reproduction
    from awlab.report.reproduce_run import again, reproduce_run, show_run_again, threads_of

    experiment = again(folder)
    if run:
        from awlab.train.fit import run as fit

        _compute_with(threads_of(folder))
        fit(experiment, console=None if as_json else console())
    found = reproduce_run(folder)
    costs: Sequence[Comparison] = ()
    if experiment.paper is not None:
        from awlab import complexity

        costs = complexity.compare(complexity.profile(experiment), experiment.paper)
    row = beside_paper(experiment, read_result(RunDirectory(folder)), costs)
    if as_json:
        return print_json(found.to_json() | {"paper": row and row.to_json()})
    show_run_again(console(), found)
    if row is not None:
        show_reproduction(console(), [row])
    return None


def _compute_with(threads: int | None) -> None:
    """Sum in the same order as a run that had that many threads."""
    if threads is not None:
        import torch

        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)


@app.command(rich_help_panel="One experiment")
def diff(
    left: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    right: Annotated[Path, typer.Argument(metavar="RUN", help="Another one.")],
    *,
    as_json: AsJSON = False,
) -> None:
    """Set two runs side by side: what was asked for, versions and code, what came of it."""
    from dataclasses import asdict

    from awlab.report.diff import diff as compare
    from awlab.report.diff import show_diff

    found = compare(left, right)
    print_json(asdict(found)) if as_json else show_diff(console(), found)


def _costs(study: "Plan") -> "dict[str, tuple[Comparison, ...]]":
    from awlab.complexity import compare
    from awlab.preflight import preflight

    profiles = preflight(study).profiles
    papers = {cell.name: cell.paper for cell in study.cells if cell.paper is not None}
    return {name: compare(profiles[name], papers[name]) for name in papers if name in profiles}
