"""The command line: the verbs, one call each.

Torch is imported inside the verbs that need it, so that the others answer at once. Exit codes: 0
done, 1 a run failed, 2 bad input, 73 another process is executing the run, 75 preempted (the same
command resumes), 130 interrupted.
"""

from awlab.cli import dashboard as dashboard
from awlab.cli import experiment as experiment
from awlab.cli import export as export
from awlab.cli import launch as launch
from awlab.cli import report as report
from awlab.cli import study as study
from awlab.cli import surroundings as surroundings
from awlab.cli import watch as watch
from awlab.cli.app import app as app


def main() -> None:
    """Entry point of the `awlab` command."""
    app(prog_name="awlab")
