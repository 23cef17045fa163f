"""`awlab run`: one experiment, from whatever state it is in to finished.

Torch is imported only where there is something to do, so that a finished or claimed run answers at
once.
"""

import faulthandler
import os
import sys

from rich.console import Console

from awlab.execute.child import STACKS
from awlab.record.claim import ClaimedElsewhereError, living_holder
from awlab.record.record import Result, read_result
from awlab.record.run_directory import RunDirectory
from awlab.spec.experiment import Experiment
from awlab.train.ranks import Ranks
from awlab.train.signals import StopSignals


def run(experiment: Experiment, *, console: Console | None = None) -> Result | None:
    """Train, test, explain and record what is missing of a run.

    Args:
        experiment: What to run.
        console: Takes progress; None for silence.

    Returns:
        The result; None in a process that is one of several ranks and not the first.

    Raises:
        InputError: When the experiment cannot be run as it is.
        ClaimedElsewhereError: When another process is running it.
        StopError: A `SystemExit` with code 75 or 130, when a signal asked to stop.
    """
    directory = RunDirectory.of(experiment)
    ranks = Ranks.told()
    follows = ranks is not None and ranks.rank > 0
    if directory.state == "finished":
        if follows:
            return None
        result = read_result(directory)
        if console is not None:
            message = f"{directory.path} is finished: nothing to do"
            console.print(message, highlight=False, soft_wrap=True)
        return result
    if not follows and (holder := living_holder(directory.path)):
        raise ClaimedElsewhereError(f"{directory.path} is being executed by {holder}")

    if sys.__stderr__ is not None:
        faulthandler.register(STACKS, sys.__stderr__)
    with StopSignals() as stop:
        return _run(experiment, directory, ranks, stop, console)


def _run(
    experiment: Experiment,
    directory: RunDirectory,
    ranks: Ranks | None,
    stop: StopSignals,
    console: Console | None,
) -> Result | None:
    # Threads that wait for each other by spinning make a shared machine ten times slower. OpenMP
    # reads this when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from awlab.train.devices import choose_devices

    devices = choose_devices(
        experiment.runtime,
        world_size=ranks.size if ranks else None,
        local_size=ranks.local_size if ranks else None,
    )
    if ranks is None and devices.count > 1:
        from awlab.train.launch import run_ranks

        run_ranks(experiment, directory, count=devices.count, quiet=console is None)
        return read_result(directory)

    from awlab.train.session import Session

    return Session(experiment, directory, devices, stop, ranks, console).run()
