"""The verbs for one experiment and its run."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from awlab.cli.app import (
    AsJSON,
    ExperimentFile,
    Overrides,
    RunFolder,
    SpecFile,
    Weights,
    app,
    console,
    end,
    print_json,
)
from awlab.execute.exit_codes import BAD_INPUT, DISK_FULL, FAILED

PANEL = "One experiment"


@app.command(rich_help_panel=PANEL)
def run(
    experiment: ExperimentFile, overrides: Overrides = None, *, as_json: AsJSON = False
) -> None:
    """Train, test, explain and record one experiment; resume it if it was interrupted."""
    from awlab.spec.load import load_experiment

    spec = load_experiment(experiment, overrides or [])
    from awlab.record.run_directory import RunDirectory
    from awlab.report.terminal import show_result
    from awlab.train.fit import run as fit

    directory = RunDirectory.of(spec)
    try:
        result = fit(spec, console=None if as_json else console())
    except (RuntimeError, OSError) as error:
        from awlab.train.failure import classify

        told = directory.failure  # None where there was no room for it.
        full = "disk full" in (told, classify(error))
        if not full and told in (None, "error"):
            raise
        story = f" (the whole story: {directory.error})" if told else ""
        raise end(DISK_FULL if full else FAILED, f"{error}{story}") from None
    if result is None:
        return  # A rank other than the first: it has nothing to say.
    if as_json:
        print_json(result.to_dict())
    else:
        show_result(console(), directory, result)


@app.command("eval", rich_help_panel=PANEL)
def evaluate(
    run_folder: RunFolder,
    *,
    split: Annotated[Literal["test", "val"], typer.Option(help="Which images.")] = "test",
    weights: Weights = "last",
    as_json: AsJSON = False,
) -> None:
    """Evaluate the weights of a run."""
    from awlab.report.terminal import show_metrics
    from awlab.train.evaluate import evaluate as measure

    metrics = measure(run_folder, split=split, weights=weights)
    print_json(metrics) if as_json else show_metrics(console(), metrics)


@app.command(rich_help_panel=PANEL)
def gradcam(
    target: Annotated[
        Path, typer.Argument(metavar="RUN|ABLATION", help="A run directory, or a study's file.")
    ],
    overrides: Overrides = None,
    *,
    images: Annotated[
        Path | None, typer.Option(help="Folder of images to explain, in place of test images.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Dotted name of the layer; the last with maps if left out.")
    ] = None,
    weights: Annotated[
        Literal["last", "best"] | None,
        typer.Option(help="Of which epoch; those that were tested if left out."),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Show where the network of a run looks, or those of all cells of a study side by side."""
    if target.is_file():
        return _gradcam_study(target, overrides, images, layer, weights, as_json=as_json)
    if overrides:
        raise end(BAD_INPUT, f"{overrides[0]}: only the file of a study can be changed, not a run")
    from awlab.train.explain import explain_run

    sheet, explanations = explain_run(target, images=images, layer=layer, weights=weights)
    if as_json:
        print_json({"contact_sheet": str(sheet), "images": [e.to_dict() for e in explanations]})
    else:
        typer.echo(f"{len(explanations)} images explained: {sheet}")
    return None


def _gradcam_study(
    file: Path,
    overrides: list[str] | None,
    images: Path | None,
    layer: str | None,
    weights: Literal["last", "best"] | None,
    *,
    as_json: bool,
) -> None:
    from awlab.cli.study import known_plan

    study = known_plan(file, overrides)
    from awlab.train.explain_study import explain_study

    found = explain_study(study, images=images, layer=layer, weights=weights)
    if as_json:
        return print_json(found.to_json())
    for cell, reason in found.lost.items():
        typer.secho(f"not shown: {cell}: {reason}", fg="yellow", err=True)
    count = len(found.wall.cells)
    return typer.echo(f"{count} cell{'' if count == 1 else 's'} explained: {found.picture}")


@app.command(rich_help_panel=PANEL)
def profile(
    file: SpecFile,
    overrides: Overrides = None,
    *,
    paper: Annotated[
        bool, typer.Option("--paper", help="Set the printed numbers of the file beside ours.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Count parameters and multiply-accumulates of an experiment's stages, or of a study's cells.

    Networks are built, but nothing is computed.
    """
    from awlab.plan.load import is_ablation

    show = _profile_study if is_ablation(file) else _profile_experiment
    show(file, overrides or [], paper=paper, as_json=as_json)


def _profile_experiment(file: Path, overrides: list[str], *, paper: bool, as_json: bool) -> None:
    from awlab.spec.load import load_experiment

    spec = load_experiment(file, overrides)
    if paper and spec.paper is None:
        raise _no_paper(file)
    from dataclasses import asdict

    from awlab import complexity
    from awlab.report.profile_view import show_profile

    counted = complexity.profile(spec)
    comparisons = complexity.compare(counted, spec.paper) if paper and spec.paper else ()
    if as_json:
        parts = [asdict(part) for part in (*counted.parts, counted.total)]
        paper_rows = [asdict(comparison) for comparison in comparisons]
        names = list(counted.aw_convolutions)
        print_json({"parts": parts, "aw_convolutions": names, "paper": paper_rows})
    else:
        source = spec.paper.source if paper and spec.paper else None
        show_profile(console(), counted, comparisons, source)


def _profile_study(file: Path, overrides: list[str], *, paper: bool, as_json: bool) -> None:
    from awlab.plan import plan as make_plan
    from awlab.plan import read_ablation

    study = make_plan(*read_ablation(file, overrides))
    if paper and not study.ablation.paper:
        raise _no_paper(file)
    from awlab.complexity import compare
    from awlab.preflight import preflight
    from awlab.report.profile_view import cell_rows, show_cells

    checked = preflight(study)
    printed = {name: study[name].runs[0].experiment.paper for name in checked.profiles}
    comparisons = {
        name: compare(checked.profiles[name], row)
        for name, row in printed.items()
        if paper and row is not None
    }
    rows = cell_rows(checked.profiles, comparisons)
    print_json({"cells": rows}) if as_json else show_cells(console(), rows, beside_paper=paper)


def _no_paper(file: Path) -> typer.Exit:
    return end(BAD_INPUT, f"{file}: has no `paper` to compare with; leave out --paper")
