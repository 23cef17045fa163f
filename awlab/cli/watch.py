"""The verbs that watch and end ablations and runs that are being executed."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awlab.cli.app import (
    AblationFile,
    AsJSON,
    Root,
    app,
    console,
    end,
    print_json,
)
from awlab.cli.study import PANEL, Overrides, known_plan, read_plan
from awlab.execute.exit_codes import BAD_INPUT

if TYPE_CHECKING:
    from collections.abc import Callable


WATCH_SECONDS = 2.0


@app.command(rich_help_panel=PANEL)
def status(
    ablation: AblationFile,
    overrides: Overrides = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again and again until all is over.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Show what is done of an ablation, and what is being executed now."""
    if watch and as_json:
        raise end(BAD_INPUT, "--watch is for people; leave out --json")
    study = known_plan(ablation, overrides)
    if as_json:
        print_json(study.to_json())
        return
    from awlab.report.live import StudyView

    view = StudyView(study, (), console())
    if not watch or not console().is_terminal:
        console().print(view.picture())
        return
    with view:
        while not view.over:
            view.refresh()
            time.sleep(WATCH_SECONDS)


@app.command(rich_help_panel=PANEL)
def logs(
    what: Annotated[
        str, typer.Argument(metavar="RUN|ABLATION", help="A run directory, its name or id; a file.")
    ],
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on while it is being executed.")
    ] = False,
    root: Root = Path("runs"),
) -> None:
    """Print the log of a run, or of an ablation that was detached."""
    from awlab.report.tail import read

    file, over = _log(what, root)
    for text in read(file, until=over if follow else None):
        typer.echo(text, nl=False)


@app.command(rich_help_panel=PANEL)
def cancel(ablation: AblationFile, overrides: Overrides = None) -> None:
    """End an ablation: its runs write checkpoints, and the same command goes on from there.

    Twice ends it at once, like Ctrl-C.
    """
    from awlab.execute import slurm
    from awlab.execute.presence import ask_to_end, workers
    from awlab.record.study_directory import StudyDirectory

    study = StudyDirectory.of(read_plan(ablation, overrides).ablation)
    arrays = slurm.cancel(study)
    for job in arrays:
        typer.echo(f"Slurm job {job} ends when its runs have written checkpoints")
    found = workers(study)
    if not found and not arrays:
        typer.echo(f"nobody is executing {ablation}")
        return
    elsewhere = "" if arrays else ": cancel it there"
    asked = [worker for worker in found if ask_to_end(worker)]
    for worker in found:
        end_ = " ends when its runs have written checkpoints" if worker in asked else elsewhere
        typer.echo(f"{worker}{end_}")
    while set(asked) & set(workers(study)):
        time.sleep(0.1)


def _log(what: str, root: Path) -> "tuple[Path, Callable[[], bool]]":
    """The log, and whether nobody writes it any more."""
    from awlab.execute.presence import workers
    from awlab.record.claim import living_holder
    from awlab.record.run_directory import RunDirectory
    from awlab.record.study_directory import StudyDirectory

    path = Path(what)
    if path.is_file():
        study = StudyDirectory.of(read_plan(path, None).ablation)
        return study.log, lambda: not workers(study)
    folders = [path] if path.is_dir() else [*root.glob(f"*-{what}"), *root.glob(what)]
    if len(folders) != 1:
        raise end(
            BAD_INPUT,
            f"{what}: expected a run directory, the name or id of one in {root}, or "
            "the file of an ablation",
        )
    run = RunDirectory(folders[0])
    return run.log, lambda: living_holder(run.path) is None
