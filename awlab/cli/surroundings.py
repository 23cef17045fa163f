"""The verbs that look around: files, kinds, runs, the machine."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from awlab.cli.app import (
    AsJSON,
    Root,
    app,
    console,
    print_json,
)
from awlab.execute.exit_codes import BAD_INPUT

PANEL = "Around"


@app.command(rich_help_panel=PANEL)
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Experiments, ablations.")],
    *,
    as_json: AsJSON = False,
) -> None:
    """Check YAML files and say everything that is wrong with them, with its place."""
    from awlab.plan import validate_file
    from awlab.spec.errors import SpecError

    found: dict[str, list[str]] = {}
    for file in files:
        try:
            validate_file(file)
        except SpecError as error:
            found[str(file)] = [str(problem) for problem in error.problems]
        else:
            found[str(file)] = []
    if as_json:
        print_json(found)
    else:
        for file, problems in found.items():
            typer.echo("\n".join(problems) if problems else f"{file}: valid")
    if any(found.values()):
        raise typer.Exit(BAD_INPUT)


@app.command(rich_help_panel=PANEL)
def schema(kind: Annotated[Literal["experiment", "ablation"], typer.Argument()]) -> None:
    """Print the JSON Schema of a kind of file, for editors."""
    from awlab.spec.schema import json_schema

    print_json(json_schema(kind))


@app.command("list", rich_help_panel=PANEL)
def show_list(
    what: Annotated[Literal["runs", "kinds"], typer.Argument()] = "runs",
    *,
    root: Root = Path("runs"),
    plugin: Annotated[
        list[str] | None, typer.Option(help="Module to import first, for its kinds.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """List runs with their errors, or the kinds that a file may name."""
    from awlab.report import terminal

    if what == "kinds":
        from awlab.spec import Attention, Conv, Data, Model, Optimizer, Schedule
        from awlab.spec.document import Document
        from awlab.spec.plugins import import_plugins

        import_plugins(Document({"plugins": plugin or []}))
        kinds = terminal.kind_rows([Model, Conv, Attention, Data, Optimizer, Schedule])
        print_json(kinds) if as_json else terminal.show_kinds(console(), kinds)
        return
    from awlab.record.run_directory import find_runs

    rows = terminal.run_rows(find_runs(root))
    print_json(rows) if as_json else terminal.show_runs(console(), rows, root)


@app.command(rich_help_panel=PANEL)
def doctor(
    *,
    root: Root = Path("runs"),
    data: Annotated[Path, typer.Option(help="Folder of the data sets.")] = Path("data"),
    as_json: AsJSON = False,
) -> None:
    """Check the installation and the machine."""
    from dataclasses import asdict

    from awlab.doctor import examine
    from awlab.report.terminal import show_checks

    checks = examine(root, data)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        show_checks(console(), checks)
    if any(check.verdict == "problem" for check in checks):
        raise typer.Exit(1)
