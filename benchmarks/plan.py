"""How long it takes to plan 10,000 runs: validated, hashed, states read, without torch.

Run: python benchmarks/plan.py
"""

import sys
import tempfile
import time
from pathlib import Path

from awlab.plan import Plan, plan
from awlab.record.run_directory import RunDirectory
from awlab.spec.ablation import Ablation
from awlab.spec.load import parse

LIMIT_SECONDS = 3.0
RATES = [round(0.1 + i / 1000, 3) for i in range(100)]
REDUCTIONS = list(range(1, 101))


def study(root: Path) -> Ablation:
    """Return a study of 10,000 cells with one seed: the dearest way to have 10,000 runs."""
    base = {
        "name": "base",
        "model": {"kind": "resnet", "stem": "cifar", "conv": {"kind": "aw"}},
        "data": {"kind": "cifar100"},
        "training": {
            "epochs": 200,
            "batch_size": 128,
            "optimizer": {"kind": "sgd", "lr": 0.1},
            "schedule": {"kind": "cosine", "warmup_epochs": 5},
        },
        "runtime": {"root": str(root)},
    }
    axes = {
        "lr": {"path": "training.optimizer.lr", "values": RATES},
        "reduction": {"path": "model.conv.reduction", "values": REDUCTIONS},
    }
    baseline = {"lr": RATES[0], "reduction": 16}
    return parse(
        Ablation,
        {"name": "large", "base": base, "axes": axes, "baseline": baseline, "seeds": 1},
    )


def finish(planned: Plan) -> None:
    """Leave behind what a finished run leaves, for every run of the plan."""
    template = planned.runs[0]
    template.directory.create(template.experiment)
    text = template.directory.experiment.read_text()
    for run in planned.runs:
        directory = RunDirectory(run.path)
        directory.path.mkdir(exist_ok=True)
        directory.experiment.write_text(text.replace(template.id, run.id, 1))
        directory.result.write_text("{}")


def timed(root: Path) -> tuple[Plan, float]:
    """Plan the study once."""
    start = time.perf_counter()
    planned = plan(study(root))
    return planned, time.perf_counter() - start


def main() -> None:
    """Print the seconds of a plan with nothing done and with everything done."""
    with tempfile.TemporaryDirectory() as folder:
        planned, new = timed(Path(folder))
        finish(planned)
        done, again = timed(Path(folder))
    assert done.states == {"finished": len(planned.runs)}, done.states
    assert "torch" not in sys.modules
    print(f"{len(planned.runs)} runs, none done:     {new:.2f} s")
    print(f"{len(planned.runs)} runs, all finished:  {again:.2f} s (limit {LIMIT_SECONDS} s)")
    sys.exit(again > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
