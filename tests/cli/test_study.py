"""The verbs that plan an ablation; what they call is tested where it lives."""

import json
from collections.abc import Callable
from pathlib import Path

import yaml

Invoke = Callable[..., tuple[int, str, str]]


def test_plan_as_data(study_file: Path, invoke: Invoke) -> None:
    document = json.loads(invoke("plan", str(study_file), "--json", "--sd", "0.3")[1])
    assert [cell["name"] for cell in document["cells"]] == ["plain", "aw"]
    assert document["power"]["sd"] == 0.3
    built = json.loads(invoke("plan", str(study_file), "--json", "--profile")[1])
    assert built["cells"][0]["parameters"] > 1000


def test_plan_measures_what_runs_will_cost(study_file: Path, invoke: Invoke) -> None:
    bill = json.loads(invoke("plan", str(study_file), "--json", "--measure")[1])["bill"]
    assert (bill["measured"], bill["estimated"]) == (0, 2)
    assert 0 < bill["run_hours_left"] < 1
    assert bill["bytes_left"] > 1000
    assert "--measure" in invoke("plan", str(study_file))[1]


def test_export_to_a_sweep(study_file: Path, invoke: Invoke) -> None:
    code, out, _ = invoke("export", str(study_file), "seeds=3", "--to", "wandb-sweep")
    assert code == 0
    sweep = yaml.safe_load(out)
    assert sweep["parameters"] == {"cell": {"values": ["plain", "aw"]}}
    assert sweep["command"] == ["awlab", "ablate", "tiny.yaml", "seeds=3", "${args}"]
