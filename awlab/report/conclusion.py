"""What is said when a study, or a part of it, has been executed."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from awlab.plan import Plan, Run
from awlab.plan.bill import results
from awlab.report.collect import collect
from awlab.report.results_view import show_results


def conclude(
    console: Console, plan: Plan, study: str, executed: Sequence[Run], *, stopped: bool
) -> None:
    """Print what came of a study, and how to go on.

    Args:
        console: Where to.
        plan: As it stands now.
        study: The arguments of a command that name it: its file, and changes to that.
        executed: Runs that were to be executed; none, when there was nothing to do.
        stopped: Whether somebody asked to end early.
    """
    states = Counter(run.state for run in plan.runs)
    done, total = states["finished"], len(plan.runs)
    if stopped:
        _say(
            console,
            f"interrupted: {done} of {total} runs are finished; the same command goes on from here",
        )
        return
    if not executed:
        _say(console, _nothing_to_do(done, total))
    console.print()
    if done:
        show_results(console, collect(plan))
    failures = Counter(run.directory.failure for run in plan.runs if run.state == "failed")
    if failures:
        kinds = ", ".join(f"{count} {kind}" for kind, count in failures.most_common())
        _say(
            console,
            f"failed: {kinds}; awlab ablate {study} --retry-failed starts them again",
            "red",
        )
    readable = {run.id for run, _ in results(plan.runs)}
    for run in plan.runs:
        if run.state == "finished" and run.id not in readable:
            _say(
                console,
                f"damaged: {run.directory.result}; remove it, and the same command makes it anew",
                "red",
            )
    if done:
        _say(console, f"the page with figures: awlab report {study}")


def _nothing_to_do(done: int, total: int) -> str:
    if done == total:
        return f"nothing to do: all {total} runs are finished"
    return f"nothing to do: {done} of {total} runs are finished, and no other was asked for"


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style=style), soft_wrap=True)
