"""The plan of a study on a terminal: cells, what is done, what is left to pay, what it shows."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from awlab.plan import Cell, Plan
from awlab.plan.bill import Bill, Power
from awlab.report.signs import SIGNS
from awlab.spec.metrics import is_percent


def show_plan(
    console: Console,
    plan: Plan,
    bill: Bill,
    power: Power,
    costs: Mapping[str, tuple[int, float]] | None = None,
) -> None:
    """Print a plan.

    Args:
        console: Where to.
        plan: The study.
        bill: What is left to pay.
        power: What its seeds can show.
        costs: Parameters and GMACs by cell, where the networks were built.
    """
    console.print(_cells(plan, costs, console))
    console.print(_legend(console), _notes(plan), "", _bill(bill), _power(power, plan), sep="\n")


def _cells(plan: Plan, costs: Mapping[str, tuple[int, float]] | None, console: Console) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("cell", overflow="fold")
    if costs is not None:
        table.add_column("parameters", justify="right", no_wrap=True)
        table.add_column("GMACs", justify="right", no_wrap=True)
    table.add_column("runs, by seed", overflow="fold")
    for cell in plan.cells:
        name = Text(cell.name, style="bold" if cell.name in plan.baselines else "")
        name.append(" (baseline)" if cell.name in plan.baselines else "")
        table.add_row(name, *_cost(cell, costs), _runs(cell, console))
    return table


def _cost(cell: Cell, costs: Mapping[str, tuple[int, float]] | None) -> tuple[str, ...]:
    if costs is None:
        return ()
    if cell.name not in costs:
        return ("", "")
    parameters, gmacs = costs[cell.name]
    return (f"{parameters:,}", f"{gmacs:.4f}")


def _runs(cell: Cell, console: Console) -> Text:
    if cell.excluded is not None:
        return Text(f"excluded: {cell.excluded}", style="dim")
    if cell.same_as is not None:
        why = f" ({'; '.join(cell.notes)})" if cell.notes else ""
        return Text(f"same runs as {cell.same_as}{why}", style="dim")
    signs = [SIGNS[run.state] for run in cell.runs]
    return Text(" ").join(Text(sign.on(console), style=sign.style) for sign in signs)


def _legend(console: Console) -> Text:
    parts = [
        Text(f"{sign.on(console)} {state}", style=sign.style)
        for state, sign in SIGNS.items()
        if state != "running"  # A plan does not look for that.
    ]
    return Text("   ").join(parts)


def _notes(plan: Plan) -> RenderableType:
    by_note: dict[str, list[str]] = {}
    for cell in plan.cells:
        for note in cell.notes if cell.same_as is None else ():
            by_note.setdefault(note, []).append(cell.name)
    lines = [Text(f"note: {note}: {', '.join(cells)}") for note, cells in by_note.items()]
    return Group(*lines)


def _bill(bill: Bill) -> Text:
    done = bill.states.get("finished", 0)
    text = f"{bill.runs} runs, {done} finished, {bill.runs - done} left"
    if bill.runs == done:
        return Text(text)
    if bill.run_hours_left is None or bill.bytes_left is None:
        return Text(
            f"{text}; time and disk are known when a run has finished, or with awlab plan --measure"
        )
    finished, cells = f"{bill.measured} finished runs", f"a few steps of {bill.estimated} cells"
    sources = [*([finished] if bill.measured else []), *([cells] if bill.estimated else [])]
    return Text(
        f"{text}: about {bill.run_hours_left:.2g} hours of runs and "
        f"{bill.bytes_left / 1e9:.2g} GB (from {' and '.join(sources)})"
    )


def _power(power: Power, plan: Plan) -> Text:
    unit = "pp" if is_percent(plan.ablation.metric.name) else "in its unit"
    text = (
        f"{power.seeds} seeds: the smallest possible p-value is {power.smallest_p:.3g}; "
        f"{power.comparisons} comparisons"
    )
    if power.can_survive < power.comparisons:
        needed = "" if power.seeds_needed is None else f", {power.seeds_needed} seeds could"
        return Text(f"{text} cannot get a verdict at 5 % with Holm's correction{needed}", "yellow")
    if power.smallest_difference is None:
        return Text(f"{text} can get a verdict; how small a difference, is known after some runs")
    return Text(f"{text}; shown with 80 % power: {power.smallest_difference:.2f} {unit} or more")


def plan_document(
    plan: Plan, bill: Bill, power: Power, costs: Mapping[str, tuple[int, float]] | None = None
) -> dict[str, Any]:
    """The plan as plain data, with its bill and power."""
    document = plan.to_json()
    if costs is not None:
        for cell in document["cells"]:
            parameters, gmacs = costs.get(cell["name"], (None, None))
            cell |= {"parameters": parameters, "gmacs": gmacs}
    return {**document, "bill": bill.to_json(), "power": power.to_json()}
