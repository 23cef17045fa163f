"""A study as a W&B sweep: agents on any machine then execute one cell after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awlab.plan.runs import Plan


def wandb_sweep(plan: Plan, file: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the definition of a sweep over one parameter, `cell`.

    The seeds of a cell are executed together. Cells that others stand for are left out.

    Args:
        plan: The study.
        file: Where it is written; agents read it under this name.
        overrides: That were applied to it.
    """
    metric = plan.ablation.metric
    cells = [cell.name for cell in plan.cells if cell.excluded is None and cell.same_as is None]
    return {
        "name": plan.ablation.name,
        "method": "grid",
        "metric": {
            "name": metric.name,
            "goal": "minimize" if metric.direction == "min" else "maximize",
        },
        "parameters": {"cell": {"values": cells}},
        # W&B knows no macro for one parameter: ${args} is --cell=NAME.
        "command": ["awlab", "ablate", str(file), *overrides, "${args}"],
    }
