"""Studies in Weights & Biases."""

from typing import TYPE_CHECKING

import typer

from awlab.cli.app import AblationFile, AsJSON, app, print_json
from awlab.cli.study import PANEL, Overrides, read_plan

if TYPE_CHECKING:
    from awlab.plan import Plan


@app.command(rich_help_panel=PANEL)
def dashboard(
    ablation: AblationFile, overrides: Overrides = None, *, as_json: AsJSON = False
) -> None:
    """Save a W&B workspace for an ablation: results, curves by cell, Grad-CAM, system.

    With --json its specification is printed, and no server is asked.
    """
    from awlab.train.dashboard import dashboard as build
    from awlab.train.dashboard import save, specification

    study = read_plan(ablation, overrides)
    if as_json:
        print_json(specification(build(study)))
    else:
        typer.echo(save(study))


def mirror(study: "Plan", *, quiet: bool = False) -> None:
    """Show in W&B what a study shows, and say where; W&B is never a reason to fail."""
    from awlab.report.collect import collect
    from awlab.spec.experiment import Experiment

    base = study.ablation.base
    assert isinstance(base, Experiment)
    if base.runtime.wandb == "disabled":
        return
    from awlab.train.study_mirror import mirror_study

    address = mirror_study(study, collect(study), notify=lambda line: typer.echo(line, err=True))
    if address is not None and not quiet:
        typer.echo(f"the study in W&B: {address}")
