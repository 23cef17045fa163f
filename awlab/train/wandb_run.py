"""Opening a W&B run: without questions, without waiting long, with all files in one place."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import wandb

from awlab.record.run_directory import RunDirectory
from awlab.record.study_directory import StudyDirectory
from awlab.spec.runtime import Runtime

INIT_SECONDS = 20
"""How long a server may take to accept a run, before the mirror goes offline."""
FINISH_SECONDS = 60
"""How long the upload may go on after the end of a run."""

STEP = "trainer/global_step"
"""Lightning's name of the optimizer step: the horizontal axis of all plots."""

Mode = Literal["online", "offline"]
Wanted = Literal["auto", "online", "offline", "disabled"]
Notify = Callable[[str], None]


def start(
    directory: RunDirectory | StudyDirectory,
    wanted: Wanted,
    identity: dict[str, Any],
    notify: Notify,
    axis: str | None = None,
) -> wandb.Run | None:
    """Open a W&B run in the first mode that works.

    Args:
        directory: Of the run or the study; W&B writes into its folder `wandb`.
        wanted: As in `runtime.wandb`.
        identity: Arguments of `wandb.init` that say which run it is.
        notify: Told why a mode does not work.
        axis: The metric that all others are drawn against.
    """
    for mode in modes(wanted, notify):
        try:
            directory.wandb.mkdir(parents=True, exist_ok=True)
            return _init(mode, directory.path, identity, axis)
        except Exception as error:  # noqa: BLE001 W&B raises a dozen kinds, and none may end a run
            notify(f"W&B: no {mode} run: {first_line(error)}")
            with suppress(Exception, SystemExit):
                wandb.teardown()  # else the id counts as in use
    return None


def _init(mode: Mode, folder: Path, identity: dict[str, Any], axis: str | None) -> wandb.Run:
    run = wandb.init(
        mode=mode,
        dir=folder.absolute(),
        resume="allow" if mode == "online" else None,
        settings=wandb.Settings(
            init_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
            finish_timeout_raises=True,
            console="off",
            silent=True,
            reinit="create_new",
        ),
        **identity,
    )
    if axis is not None:
        run.define_metric(axis)
        run.define_metric("*", step_metric=axis, step_sync=True)
    return run


def project(runtime: Runtime) -> str:
    """The project that a run is filed under: that of the file, else `WANDB_PROJECT`."""
    default = Runtime.model_fields["wandb_project"].default
    if runtime.wandb_project != default:
        return runtime.wandb_project
    return os.environ.get("WANDB_PROJECT") or default


def modes(wanted: Wanted, notify: Notify) -> list[Mode]:
    """What to try, in this order."""
    mode = os.environ.get("WANDB_MODE", "auto") if wanted == "auto" else wanted
    if mode == "disabled":
        return []
    if mode in ("offline", "dryrun"):
        return ["offline"]
    if has_key(notify):
        return ["online", "offline"]
    if mode != "auto":
        notify("W&B: no API key was found (wandb login stores one): the run is mirrored offline")
    return ["offline"]


def has_key(notify: Notify) -> bool:
    """Whether W&B finds an API key without asking; the server is not asked either."""
    try:
        wandb.setup(wandb.Settings(silent=True, mode="online"))  # WANDB_MODE would hide the key
        return wandb.login(prompt=False, verify=False)
    except Exception as error:  # noqa: BLE001 as in start
        notify(f"W&B: the API key is of no use: {first_line(error)}")
        return False


@contextmanager
def files_in(folder: Path) -> Iterator[None]:
    """Keep what W&B stages and caches in a folder, and its reports of its own errors to itself.

    Without this, images of tables lie in the home directory until they are uploaded, and are
    missing when they are removed from there.
    """
    wanted = {
        "WANDB_DATA_DIR": str(folder.absolute() / "data"),
        "WANDB_CACHE_DIR": str(folder.absolute() / "cache"),
        "WANDB_ERROR_REPORTING": "false",
    }
    unset = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(unset)
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)


def first_line(error: Exception) -> str:
    """The gist of an error."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
