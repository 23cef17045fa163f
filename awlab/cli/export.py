"""The verb that turns what awlab has into what other programs read."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from awlab.cli.app import AsJSON, Weights, app, end, print_json
from awlab.cli.study import known_plan
from awlab.execute.exit_codes import BAD_INPUT

FOR_RUNS = ("torch", "onnx")


@app.command(rich_help_panel="Around")
def export(
    what: Annotated[
        Path, typer.Argument(metavar="WHAT", help="A run directory, or the file of a study.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the file of a study."),
    ] = None,
    *,
    to: Annotated[
        Literal["torch", "onnx", "wandb-sweep"],
        typer.Option(help="Of a run: torch or onnx; of a study: wandb-sweep."),
    ],
    weights: Weights = "last",
    output: Annotated[
        Path | None, typer.Option(help="File; exports/ in the run directory if left out.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Write a trained network for other programs, or print a study as a W&B sweep."""
    if what.is_dir() != (to in FOR_RUNS):
        asked = "a run directory" if to in FOR_RUNS else "the YAML file of a study"
        raise end(BAD_INPUT, f"--to {to} needs {asked}, which {what} is not")
    if to in FOR_RUNS:
        if overrides:
            raise end(BAD_INPUT, f"{overrides[0]}: a run is exported as it is; leave it out")
        _export_run(what, to, weights=weights, output=output, as_json=as_json)
        return
    given = {"--weights": weights != "last", "--output": output is not None, "--json": as_json}
    for option in (name for name, is_given in given.items() if is_given):
        raise end(BAD_INPUT, f"{option} is for runs; a study is printed as YAML")
    _print_sweep(what, overrides or [])


def _export_run(folder: Path, to: Any, *, weights: Any, output: Path | None, as_json: bool) -> None:
    from awlab.train.export import export_run

    exported = export_run(folder, to, weights=weights, output=output)
    if as_json:
        print_json({"file": str(exported.file), "difference": exported.difference})
    else:
        typer.echo(f"{exported.file}: differs from the network by {exported.difference:.1e}")


def _print_sweep(file: Path, overrides: list[str]) -> None:
    from awlab.plan.sweep import wandb_sweep
    from awlab.spec.write_yaml import write_yaml

    study = known_plan(file, overrides)
    typer.echo(write_yaml(wandb_sweep(study, file, overrides)), nl=False)
