import pytest
from pydantic import ValidationError

from awlab.spec.ablation import Ablation, Axis, Metric, label_of
from awlab.spec.errors import SpecError
from awlab.spec.experiment import Experiment
from awlab.spec.load import dump, load, parse

BASE = {
    "name": "base",
    "model": {"kind": "resnet", "conv": {"kind": "aw"}},
    "data": {"kind": "cifar100"},
    "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
}
F2 = {"path": "model.conv.f2", "values": ["residual", "product"]}


def ablation(**changes):
    data = {"name": "study", "base": BASE, "axes": {"f2": F2}, "baseline": "residual", "seeds": 2}
    return parse(Ablation, data | changes)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("residual", "residual"),
        (None, "none"),
        (True, "true"),
        (16, "16"),
        (1e-3, "0.001"),
        (-1, "minus1"),
        ([1, 2], "1+2"),
        ([], "empty"),
        ("", "empty"),
        ({"c1": "full", "h": 2}, "c1-full+h-2"),
        ({"kind": "aw", "expand": {"c1": "full"}}, "aw+expand-c1-full"),
        ("data/set 1", "data-set-1"),
    ],
)
def test_values_have_readable_labels(value, label):
    assert label_of(value) == label


def test_values_are_a_list_or_a_mapping_of_label_to_value():
    listed = Axis(path="model.conv", values=[None, {"kind": "aw"}])
    named = Axis(path="model.conv", values={"plain": None, "AW": {"kind": "aw"}})
    assert listed.labelled == {"none": None, "aw": {"kind": "aw"}}
    assert named.labelled == {"plain": None, "AW": {"kind": "aw"}}
    assert listed.paths == (("model", "conv"),)


def test_a_root_axis_replaces_the_nodes_that_its_values_name():
    axis = Axis(path=".", values={"a": {"model": 1, "data": 2}, "b": {"data": 3, "model": 4}})
    assert set(axis.paths) == {("model",), ("data",)}


def test_seeds_are_counted_or_listed():
    assert ablation(seeds=3).seed_values == (0, 1, 2)
    assert ablation(seeds=[7, 4]).seed_values == (7, 4)


def test_cells_may_be_written_as_mappings_with_the_values_as_they_stand():
    spec = ablation(
        axes={"r": {"path": "model.conv.reduction", "values": [8, 16]}, "f2": F2},
        baseline={"r": 16, "f2": "residual"},
        exclude=[
            {"when": {"r": [8]}, "reason": "small"},
            {"when": {"f2": "product"}, "reason": "x"},
        ],
    )
    assert spec.baseline == "r=16,f2=residual"
    assert [exclusion.when for exclusion in spec.exclude] == [{"r": ("8",)}, {"f2": ("product",)}]


def test_the_base_may_stand_inside():
    assert isinstance(ablation().base, Experiment)
    assert ablation(base="base.yaml").base == "base.yaml"


def test_what_is_dumped_reads_back_equal(tmp_path):
    spec = ablation(
        include=["f2=product"],
        exclude=[{"when": {"f2": "product"}, "reason": "x"}],
        paper={"residual": {"source": "Table 2", "top1_error": 19.87}},
        resources={"devices_per_run": 2},
        seeds=[3, 5],
    )
    path = tmp_path / "study.yaml"
    path.write_text(dump(spec))
    assert load(path, (), Ablation) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": {}}, "axes: an ablation needs at least one axis"),
        ({"axes": {"f2": F2 | {"values": []}}}, "axes.f2.values: an axis needs at least one value"),
        ({"axes": {"f2": F2 | {"values": 3}}}, "expected a list of values or a mapping of label"),
        ({"axes": {"f2": F2 | {"values": [1, 1]}}}, "two values have the label '1'"),
        ({"axes": {"f2": F2 | {"values": {"A": 1, "a": 2}}}}, "two values have the label 'a'"),
        ({"axes": {"f2": F2 | {"values": {"a/b": 1}}}}, "label 'a/b' must be 1 to 48 letters"),
        ({"axes": {"f2": F2 | {"values": ["x" * 49]}}}, "must be 1 to 48 letters"),
        ({"axes": {"../f2": F2}}, "must be 1 to 64 lower-case letters"),
        ({"axes": {"f2": F2 | {"path": "model..f2"}}}, "expected names joined by dots"),
        ({"axes": {"f2": F2 | {"path": "seed"}}}, "the seeds of a study stand under 'seeds'"),
        ({"axes": {"f2": F2 | {"path": "runtime.root"}}}, "'runtime' cannot change a result"),
        (
            {"axes": {"f2": {"path": ".", "values": [{"seed": 1}]}}},
            "a mapping of some of model, data",
        ),
        ({"axes": {"f2": {"path": ".", "values": [3]}}}, "a mapping of some of model, data"),
        (
            {"axes": {"f2": {"path": ".", "values": [{"model": 1}, {"data": 1}]}}},
            "replaces data; all values must replace the same nodes as the first",
        ),
        ({"seeds": 0}, "a study needs 1 to 1000 seeds, not 0"),
        ({"seeds": []}, "a study needs 1 to 1000 seeds, not 0"),
        ({"seeds": 10**9}, "a study needs 1 to 1000 seeds"),
        ({"seeds": [1, 1]}, r"seeds must differ, not \[1, 1\]"),
        ({"seeds": [-1]}, "seeds.0: must be at least 0, not -1"),
        ({"baseline": [1]}, "expected a cell: a mapping of axis to label"),
        ({"exclude": [{"when": {}, "reason": "x"}]}, "names no axis, and would exclude every cell"),
        ({"exclude": [{"when": {"f2": "product"}}]}, "exclude.0.reason: is missing"),
        ({"metric": {"name": "accuracy"}}, "metric.name: must be text that matches"),
        (
            {"resources": {"devices_per_run": 2, "runs_per_device": 2}},
            r"devices_per_run \(=2\) and runs_per_device \(=2\) cannot both be more than 1",
        ),
        ({"axis": {}}, "axis: unknown key. Did you mean 'axes'?"),
    ],
)
def test_what_is_wrong_is_said(changes, message):
    with pytest.raises(SpecError, match=message):
        ablation(**changes)


def test_editors_accept_what_the_loader_accepts():
    properties = Ablation.model_json_schema()["properties"]
    kinds = [option.get("type") for option in properties["baseline"]["anyOf"]]
    assert {"string", "integer", "object"} <= set(kinds)
    assert {option.get("type") for option in properties["seeds"]["anyOf"]} == {"integer", "array"}
    when = Ablation.model_json_schema()["$defs"]["Exclusion"]["properties"]["when"]
    (labels,) = when["patternProperties"].values()
    assert {"string", "integer", "array"} <= {option.get("type") for option in labels["anyOf"]}


def test_the_direction_of_a_metric_is_what_its_name_says():
    assert Metric().direction == Metric(name="val/my_loss").direction == "min"
    assert Metric(name="test/map").direction == "max"
    assert Metric(name="val/my_score", direction="max").direction == "max"
    message = r"direction \(='min'\) is the wrong one: AP is better when it is more; leave it out"
    with pytest.raises(ValidationError, match=message):
        Metric(name="test/map", direction="min")
