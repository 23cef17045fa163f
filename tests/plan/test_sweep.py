from pathlib import Path

import pytest

from awlab.plan import plan
from awlab.plan.sweep import wandb_sweep

sweeps = pytest.importorskip("wandb.sdk.launch.sweeps.utils")


def test_agents_run_the_cells_by_name(study):
    exclude = [{"when": {"r": 32}, "reason": "too slow"}]
    planned = plan(study(exclude=exclude))
    planned = planned.merge({"f2=product,r=8": "f2=product,r=16"}, "is the same")
    sweep = wandb_sweep(planned, Path("studies/a.yaml"), ["seeds=3"])
    cells = ["f2=residual,r=8", "f2=residual,r=16", "f2=product,r=16"]
    assert sweep["parameters"] == {"cell": {"values": cells}}
    assert sweep["metric"] == {"name": "test/top1_error", "goal": "minimize"}
    assert sweep["method"] == "grid"
    # What W&B's own agent makes of it.
    arguments = sweeps.create_sweep_command_args({"args": {"cell": {"value": cells[0]}}})
    command = sweeps.create_sweep_command(list(sweep["command"]))
    assert command[:-1] == ["awlab", "ablate", "studies/a.yaml", "seeds=3"]
    assert command[-1] == "${args}"
    assert arguments["args"] == ["--cell=f2=residual,r=8"]


def test_a_metric_of_which_more_is_better(study):
    planned = plan(study(metric={"name": "val/f1", "direction": "max"}))
    assert wandb_sweep(planned, Path("a.yaml"))["metric"] == {"name": "val/f1", "goal": "maximize"}
