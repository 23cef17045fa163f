import re
import subprocess
import sys

import pytest

from awlab.plan import plan
from awlab.plan.runs import run_name
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError, SpecError
from awlab.spec.experiment import Experiment, Paper
from awlab.spec.load import parse
from awlab.spec.runtime import Runtime

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def test_every_cell_has_a_run_per_seed(study):
    planned = plan(study(seeds=[4, 7]))
    assert len(planned.cells) == 6
    assert [run.seed for run in planned["f2=product,r=8"].runs] == [4, 7]
    assert len(planned.runs) == len({run.id for run in planned.runs}) == 12


def test_a_run_is_the_experiment_of_its_cell_and_seed(study):
    ablation = study()
    run = plan(ablation)["f2=product,r=8"].runs[1]
    expected = ablation.base.model_dump(mode="json") | {"seed": 1}
    expected["model"]["conv"] |= {"f2": "product", "reduction": 8}
    expected = Experiment.model_validate(expected)
    assert run.id == run.experiment.id == expected.id
    assert run.experiment.name == "study-product-8-s1"
    assert run.experiment.model == expected.model


def test_wandb_shows_a_study_as_a_group(study):
    runtime = plan(study())["f2=product,r=8"].runs[1].experiment.runtime
    assert runtime.wandb_group == "study"
    assert runtime.wandb_job_type == "f2=product,r=8"
    assert runtime.wandb_tags == ("f2=product", "r=8")


def test_the_base_may_say_how_wandb_shows_its_runs(study):
    base = study().base.model_dump(mode="json")
    base["runtime"] |= {"wandb_group": "mine", "wandb_job_type": "train", "wandb_tags": ["paper"]}
    runtime = plan(study(base=base)).runs[0].experiment.runtime
    assert (runtime.wandb_group, runtime.wandb_job_type) == ("mine", "train")
    assert runtime.wandb_tags == ("paper", "f2=residual", "r=8")


def test_long_names_fit_into_wandb(study):
    label = "x" * 48
    axes = {
        "a" * 60: {"path": "model.conv.f2", "values": {label: "residual"}},
        "b": {"path": "model.conv.reduction", "values": [8]},
    }
    runtime = plan(study(axes=axes, baseline={"a" * 60: label, "b": 8})).runs[0].experiment.runtime
    assert parse(Runtime, runtime.model_dump(mode="json")) == runtime


def test_the_published_result_of_a_cell_goes_with_its_runs(study):
    paper = {"f2=product,r=8": {"source": "Table 1", "top1_error": 3.0}}
    planned = plan(study(paper=paper))
    printed = planned["f2=product,r=8"].runs[0].experiment.paper
    assert printed == Paper(source="Table 1", top1_error=3.0)
    assert planned["f2=product,r=8"].paper == printed
    assert planned["f2=product,r=16"].runs[0].experiment.paper is None


def test_cells_that_are_not_run_themselves_keep_their_published_results(study):
    values = {"default": {"kind": "aw"}, "same": {"kind": "aw"}, "out": None}
    planned = plan(
        study(
            axes={"conv": {"path": "model.conv", "values": values}},
            baseline="default",
            exclude=[{"when": {"conv": "out"}, "reason": "known"}],
            paper={"same": {"source": "row 1"}, "out": {"source": "row 2"}},
        )
    )
    assert [cell.paper and cell.paper.source for cell in planned.cells] == [None, "row 1", "row 2"]


def test_a_published_result_of_the_base_is_not_that_of_the_cells(study):
    base = study().base.model_dump(mode="json") | {"paper": {"source": "Table 1"}}
    assert all(run.experiment.paper is None for run in plan(study(base=base)).runs)


def test_cells_that_mean_the_same_share_their_runs(study):
    values = {
        "plain": None,
        "default": {"kind": "aw"},
        "spelt-out": {"kind": "aw", "f2": "residual"},
    }
    planned = plan(study(axes={"conv": {"path": "model.conv", "values": values}}, baseline="plain"))
    assert planned["spelt-out"].same_as == "default"
    assert planned["spelt-out"].runs == planned["default"].runs
    assert len(planned.runs) == 4
    assert [cell.name for cell in planned.compared] == ["default"]


def test_a_baseline_that_another_cell_repeats_is_compared_with_neither(study):
    values = {"a": {"kind": "aw"}, "b": {"kind": "aw", "f2": "residual"}, "c": None}
    planned = plan(study(axes={"conv": {"path": "model.conv", "values": values}}, baseline="b"))
    assert [cell.name for cell in planned.compared] == ["c"]


def test_baselines_are_compared_with_nothing(study):
    planned = plan(study(other_baselines={"f2=product,r=16": ["f2=product,r=8"]}))
    assert planned.baselines == ("f2=residual,r=16", "f2=product,r=16")
    assert [cell.name for cell in planned.compared] == [
        "f2=residual,r=8",
        "f2=residual,r=32",
        "f2=product,r=8",
        "f2=product,r=32",
    ]
    assert planned.to_json()["references"] == dict.fromkeys(
        ["f2=product,r=16", "f2=product,r=8"], "f2=product,r=16"
    )


def test_excluded_cells_are_shown_and_not_run(study):
    planned = plan(study(exclude=[{"when": {"r": 8}, "reason": "too small"}]))
    assert planned["f2=product,r=8"].excluded == "too small"
    assert planned["f2=product,r=8"].runs == ()
    assert len(planned.runs) == 8


def test_excluded_cells_need_not_be_valid(study):
    axes = {"r": {"path": "model.conv.reduction", "values": [16, 0]}}
    planned = plan(study(axes=axes, baseline=16, exclude=[{"when": {"r": 0}, "reason": "no"}]))
    assert len(planned.runs) == 2


def test_states_come_from_the_run_directories(study):
    runs = plan(study()).runs
    for run in runs[:3]:
        run.directory.create(run.experiment)
    runs[0].directory.result.write_text("{}")
    runs[1].directory.fail("error", "Traceback")
    planned = plan(study())
    assert [run.state for run in planned.runs[:4]] == [
        "finished",
        "failed",
        "interrupted",
        "missing",
    ]
    assert planned.states == {"finished": 1, "failed": 1, "interrupted": 1, "missing": 9}


def test_a_run_is_found_under_whatever_name_it_was_made(study, tmp_path):
    run = plan(study()).runs[0]
    elsewhere = RunDirectory(tmp_path / "runs" / f"mine-{run.id}")
    elsewhere.create(run.experiment.model_copy(update={"name": "mine"}))
    assert plan(study()).runs[0].path == elsewhere.path


def test_a_directory_that_was_broken_by_hand_is_not_counted(study):
    run = plan(study()).runs[0]
    run.directory.create(run.experiment)
    run.directory.result.write_text("{}")
    run.directory.experiment.write_text("model: [")
    assert plan(study()).runs[0].state == "missing"


def test_growing_a_study_leaves_its_runs_what_they_are(study):
    axes = {name: axis.model_dump() for name, axis in study().axes.items()}
    axes["f2"] |= {"values": ["product", "residual"]}
    axes["hidden"] = {"path": "model.conv.min_hidden", "values": [1, 4]}
    grown = study(axes=axes, baseline={"f2": "residual", "r": 16, "hidden": 1}, seeds=3)
    old, new = ({run.id for run in plan(ablation).runs} for ablation in (study(), grown))
    assert old < new


def test_sharing_maps_over_the_batch_is_noted(study):
    values = [{"c1": "full"}, {"n": "full"}]
    axes = {"expand": {"path": "model.conv.expand", "values": values}}
    planned = plan(study(axes=axes, baseline="c1-full"))
    assert planned["c1-full"].notes == ()
    assert "depend on the batch size" in planned["n-full"].notes[0]


@pytest.mark.parametrize(
    ("study_name", "labels", "seed", "name"),
    [
        ("expand", {"a": "c1+c2", "f2": "product"}, 0, "expand-c1-c2-product-s0"),
        ("table2", {"model": "AW-AA-0"}, 12, "table2-aw-aa-0-s12"),
        ("x" * 64, {"a": "b"}, 3, "x" * 61 + "-s3"),
        ("x" * 60, {"a": "b"}, 2**62, "x" * 43 + "-s4611686018427387904"),
        ("a_b", {"lr": "0.1"}, 0, "a_b-0-1-s0"),
    ],
)
def test_run_names_are_folder_names(study_name, labels, seed, name):
    assert run_name(study_name, labels, seed) == name
    assert NAME.fullmatch(name)


def test_a_base_that_is_not_loaded_is_refused(study):
    with pytest.raises(InputError, match="is a path: load the study with load_ablation"):
        plan(study(base="base.yaml"))


def test_the_plan_is_plain_data_for_tables(study):
    planned = plan(study(exclude=[{"when": {"r": 8}, "reason": "too small"}]))
    document = planned.to_json()
    assert document["axes"] == {"f2": ["residual", "product"], "r": ["8", "16", "32"]}
    assert document["cells"][0]["excluded"] == "too small"
    assert document["cells"][1]["runs"][1] == {
        "seed": 1,
        "id": planned.runs[1].id,
        "name": "study-residual-16-s1",
        "state": "missing",
        "directory": str(planned.runs[1].path),
    }


def test_planning_leaves_torch_alone():
    code = "import sys, awlab.plan; assert not {'torch', 'lightning'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_metric_is_one_that_the_base_is_measured_by(study):
    message = "metric.name: 'test/map' is measured of detection, and the base is for classification"
    with pytest.raises(SpecError, match=f"{message}: take test/top1_error"):
        plan(study(metric={"name": "test/map"}))
