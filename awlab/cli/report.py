"""The verbs that say what runs show."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awlab.cli.app import AblationFile, AsJSON, Overrides, app, console, print_json
from awlab.cli.dashboard import mirror
from awlab.cli.study import PANEL, read_plan

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
    from awlab.plan.networks import merge_equal, recall
    from awlab.report.write import write_report

    study = read_plan(ablation, overrides)
    wanted = [name.strip() for name in formats.split(",")]
    merged = merge_equal(study, recall(study))
    paths = write_report(merged, wanted, out)
    if as_json:
        print_json({name: str(path) for name, path in paths.items()})
    else:
        for path in paths.values():
            typer.echo(path)
    if wandb:
        mirror(merged, quiet=as_json)


@app.command(rich_help_panel=PANEL)
def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE|ABLATION", help="table1, table2, or an ablation with printed numbers."
        ),
    ],
    overrides: Overrides = None,
    *,
    as_json: AsJSON = False,
) -> None:
    """Say row by row whether a published table is reproduced by the runs there are."""
    from dataclasses import asdict

    from awlab.report.collect import collect
    from awlab.report.reproduce import reproduce as compare
    from awlab.report.reproduce import show_reproduction

    named = Path(PAPER_TABLES.format(name=table))
    study = read_plan(named if named.exists() else Path(table), overrides)
    rows = compare(study, collect(study), _costs(study))
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        show_reproduction(console(), rows)


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
