import copy
import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image

from awlab.layer_attention import LayerAttention
from awlab.plan import Plan, Run, plan
from awlab.record.record import Epoch, Result, write_result
from awlab.record.run_directory import RunDirectory
from awlab.report.results import CellFacts, Results
from awlab.spec.ablation import Ablation
from awlab.spec.experiment import Experiment
from awlab.spec.load import dump, parse
from awlab.statistics import compare

SHIFTS = {"plain": [0.0] * 8, "aw": [-1.0, -1.1] * 4, "se": [0.3, -0.2] * 4, "aa": [1.0, 1.1] * 4}
BASE: dict[str, Any] = {
    "name": "base",
    "model": {"kind": "resnet", "depth": 18, "width": 4, "stem": "cifar", "conv": {"kind": "aw"}},
    "data": {"kind": "digits"},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"kind": "sgd", "lr": 0.1}},
}
F2 = {"path": "model.conv.f2", "values": ["residual", "product"]}
ATTEMPT: dict[str, Any] = {
    "started": "2026-11-22T10:00:00+00:00",
    "versions": {"python": "3.11.7", "awlab": "0.1.0", "torch": "2.11.0"},
    "code": {"awlab": {"commit": "a" * 40, "dirty": None}, "working_directory": None},
    "devices": ["NVIDIA H100"],
    "cpu_count": 16,
    "platform": "Linux",
    "command": ["awlab", "ablate", "study.yaml"],
}


@pytest.fixture
def results() -> Results:
    """Eight seeds: aw is better, aa worse, se unclear, cbam lacks two runs, eca is plain again."""
    runs: dict[str, dict[int, float | str | None]] = {
        f"attention={name},f2=residual": {s: 28 + 0.1 * s + d for s, d in enumerate(shift)}
        for name, shift in SHIFTS.items()
    }
    runs["attention=cbam,f2=residual"] = {
        0: 27.0,
        1: 27.2,
        2: math.nan,
        4: 27.1,
        5: 27,
        6: 27,
        7: 27,
    }
    names = [*runs, "attention=eca,f2=residual"]
    return Results(
        title="attention",
        metric="test/top1_error",
        comparison=compare(runs, baseline=names[0], seeds=range(8), direction="min"),
        labels={name: dict(pair.split("=") for pair in name.split(",")) for name in names},
        facts={
            names[0]: CellFacts(8_434_652, 1.164, 0.125, 3 * 2**20, published=28.01),
            names[1]: CellFacts(8_504_232, 1.165, 0.25, 4 * 2**20, published=26.14),
        },
        same_as={names[-1]: names[0]},
    )


@pytest.fixture
def make_plan(tmp_path: Path) -> Callable[..., Plan]:
    """Plan a study of F2 with two values and two seeds, with changes."""

    def make(**changes: Any) -> Plan:
        base = copy.deepcopy(BASE) | {"runtime": {"root": str(tmp_path / "runs")}}
        data = {"name": "study", "base": base, "axes": {"f2": F2}, "baseline": "residual"}
        return plan(parse(Ablation, data | {"seeds": 2} | changes))

    return make


@pytest.fixture
def finish() -> Callable[..., RunDirectory]:
    """Leave behind what a finished run leaves."""

    def leave(run: Run, error: float | None, **changes: Any) -> RunDirectory:
        directory = RunDirectory(run.path)
        directory.path.mkdir(parents=True, exist_ok=True)
        directory.experiment.write_text(
            f"# awlab run {run.id} ({_schema()}\n{dump(run.experiment)}"
        )
        epochs = [Epoch(k, {"val/loss": 1.0 - k / 10, "val/top1_error": 50.0 - k}) for k in (0, 1)]
        directory.metrics.write_text("".join(map(_rows, epochs)))
        directory.environment.write_text(json.dumps({"attempts": [ATTEMPT]}))
        result = {
            "id": run.id,
            "name": run.experiment.name,
            "metrics": {"test/loss": 0.5, "test/top1_error": error},
            "tested_epoch": 1,
            "last": epochs[-1],
            "best": epochs[-1],
            "epochs": 2,
            "steps": 40,
            "parameters": 1000,
            "gmacs": 0.25,
            "seconds": 60.0,
            "images_per_second": 640.0,
            "peak_memory_bytes": 2**30,
            "attempts": 1,
            "versions": ATTEMPT["versions"],
        }
        write_result(directory, Result(**(result | changes)))
        return directory

    return leave


@pytest.fixture
def explain() -> Callable[..., None]:
    """Leave behind what a run leaves that explained images: a grey input and a red overlay."""

    def leave(
        run: Run,
        *entries: dict[str, Any],
        attention: Sequence[LayerAttention] = (),
        classes: Sequence[str] = ("ant", "bee"),
        layer: str = "l",
    ) -> None:
        folder = RunDirectory(run.path).gradcam
        folder.mkdir()
        images = []
        for k, entry in enumerate(entries):
            names = {"image": f"{k:03d}-input.png", "overlay": f"{k:03d}-overlay.png"}
            for name, colour in zip(names.values(), ("grey", "red"), strict=True):
                Image.new("RGB", (208, 104), colour).save(folder / name)
            paths = {key: f"/elsewhere/{name}" for key, name in names.items()}
            images.append({"source": k, "truth": "cat", "confidence": 0.5} | paths | entry)
        (folder / "explanations.json").write_text(json.dumps({"layer": layer, "images": images}))
        if attention:
            layers = [one.to_dict() for one in attention]
            document = {"images": 4, "classes": list(classes), "layers": layers}
            (folder / "attention.json").write_text(json.dumps(document))

    return leave


@cache
def _schema() -> str:
    """What a run directory writes into its header; found once, because that takes a while."""
    with TemporaryDirectory() as folder:
        directory = RunDirectory(folder)
        directory.create(parse(Experiment, BASE))
        return directory.experiment.read_text().splitlines()[0].partition("(")[2]


def _rows(epoch: Epoch) -> str:
    place = {"attempt": 1, "epoch": epoch.epoch, "step": 20 * (epoch.epoch + 1)}
    rows = [
        place | {"train/loss": 2.0 - epoch.epoch, "train/top1_error": 60.0, "lr": 0.1},
        place | epoch.metrics,
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)
