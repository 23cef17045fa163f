"""The application that the verbs join, and what they share."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from awlab.execute.exit_codes import BAD_INPUT, CLAIMED, INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console


ORDER = (
    *("run", "eval", "gradcam", "profile", "diff"),
    *("plan", "ablate", "status", "logs", "cancel", "report", "dashboard", "reproduce"),
    *("export", "validate", "schema", "list", "doctor"),
)
"""The verbs as help shows them: first what is used first."""


class _Verbs(TyperGroup):
    """Turns the errors that a user can cause into one message and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise end(INTERRUPTED, "interrupted; the same command goes on from here") from None
        except (ValueError, RuntimeError) as error:
            from awlab.record.claim import ClaimedElsewhereError
            from awlab.spec.errors import InputError

            if isinstance(error, InputError):
                raise end(BAD_INPUT, str(error)) from None
            if isinstance(error, ClaimedElsewhereError):
                raise end(CLAIMED, str(error)) from None
            raise


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run, ablate and explain attention modules in convolutional networks.",
)

ExperimentFile = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT", help="YAML file of the experiment.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Changes to the file: training.epochs=5 model.conv='{kind: aw, f2: product}'.",
    ),
]
AblationFile = Annotated[Path, typer.Argument(metavar="ABLATION", help="YAML file of the study.")]
SpecFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="YAML file of an experiment or a study.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Weights = Annotated[Literal["last", "best"], typer.Option(help="Of which epoch.")]
Root = Annotated[Path, typer.Option(help="Folder of the run directories.")]
AsJSON = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def console() -> "Console":
    """Where people read."""
    from rich.console import Console

    return Console(highlight=False)


def end(code: int, message: str) -> typer.Exit:
    """Say what is wrong; raise what is returned."""
    with suppress(OSError):  # A log on a full disk takes no message; the exit code says it, too.
        typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
        typer.echo(message, err=True)
    return typer.Exit(code)


def print_json(document: Any) -> None:
    """Write what programs read."""
    typer.echo(json.dumps(document, indent=2))
