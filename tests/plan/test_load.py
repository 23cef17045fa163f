import pytest
import yaml

from awlab.plan import load_ablation, plan, read_ablation, validate_file
from awlab.plan.load import is_ablation
from awlab.spec.conv import Conv
from awlab.spec.errors import SpecError
from awlab.spec.experiment import Experiment

STUDY = """\
name: study
base: ../experiments/base.yaml
axes:
  f2:
    path: model.conv.f2
    values: [residual, product]
baseline: residual
seeds: 3
"""
BASE = """\
name: base
model: {kind: resnet, conv: {kind: aw}}
data: {kind: digits}
training: {epochs: 1, batch_size: 64, optimizer: {kind: sgd, lr: 0.1}}
"""


@pytest.fixture
def path(tmp_path):
    for folder, name, text in (("ablations", "study", STUDY), ("experiments", "base", BASE)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.yaml").write_text(text)
    return tmp_path / "ablations" / "study.yaml"


def refused(path, overrides=()):
    with pytest.raises(SpecError) as caught:
        plan(*read_ablation(path, overrides))
    return caught.value.problems


def test_the_base_lies_relative_to_the_folder_of_the_study(path):
    base = load_ablation(path).base
    assert isinstance(base, Experiment)
    assert base.name == "base"


def test_the_base_may_stand_inside(path):
    path.write_text(yaml.safe_dump(yaml.safe_load(STUDY) | {"base": yaml.safe_load(BASE)}))
    assert load_ablation(path).base == load_ablation(path, ["base.name=base"]).base


def test_overrides_change_the_study_and_its_base(path):
    ablation = load_ablation(path, ["seeds=5", "base.training.epochs=7"])
    assert ablation.seeds == 5
    assert isinstance(ablation.base, Experiment)
    assert ablation.base.training.epochs == 7


def test_overrides_change_a_base_that_stands_inside(path):
    path.write_text(yaml.safe_dump(yaml.safe_load(STUDY) | {"base": yaml.safe_load(BASE)}))
    base = load_ablation(path, ["base.training.epochs=7"]).base
    assert isinstance(base, Experiment)
    assert base.training.epochs == 7


def test_a_missing_base_is_said_where_it_is_named(path):
    path.write_text(STUDY.replace("base.yaml", "bse.yaml"))
    (problem,) = refused(path)
    assert (problem.file, problem.line, problem.column) == (str(path), 2, 7)
    assert problem.message.endswith("bse.yaml: no such file")
    assert "base.yaml" in problem.hint


def test_an_experiment_is_no_study(path):
    base = path.parents[1] / "experiments" / "base.yaml"
    (problem,) = refused(base)
    assert problem.message == "is an experiment; expected an ablation"
    assert problem.hint == "`awlab run` executes experiments."


def test_a_metric_of_another_task_is_said_at_its_place(path):
    path.write_text(f"{STUDY}metric: {{name: test/map}}\n")
    with pytest.raises(SpecError) as caught:
        validate_file(path)
    (problem,) = caught.value.problems
    line = path.read_text().splitlines().index("metric: {name: test/map}") + 1
    assert (problem.path, problem.line, problem.column) == ("metric.name", line, 16)


def test_a_base_that_is_a_study_is_refused(path):
    path.write_text(STUDY.replace("../experiments/base.yaml", "study.yaml"))
    (problem,) = refused(path)
    assert problem.line == 2
    assert problem.message.endswith("study.yaml is an ablation; expected an experiment")


def test_what_is_wrong_in_the_base_is_said_there_together_with_the_study(path):
    base = path.parents[1] / "experiments" / "base.yaml"
    base.write_text(BASE.replace("epochs: 1", "epochs: 0"))
    path.write_text(STUDY.replace("seeds: 3", "seeds: 0"))
    places = {(problem.path, problem.line) for problem in refused(path)}
    assert places == {("training.epochs", 4), ("seeds", 8)}


def test_a_value_that_does_not_fit_is_said_at_its_place(path):
    path.write_text(STUDY.replace("product]", "produkt]"))
    (problem,) = refused(path)
    assert (problem.line, problem.column) == (6, 24)
    assert str(problem).startswith(
        f"{path}:6:24: axes.f2.values.1: model.conv.f2: must be 'residual' or 'product', not "
        "'produkt' (cell produkt). Did you mean 'product'?"
    )


def test_a_value_from_the_command_line_is_said_there(path):
    (problem,) = refused(path, ["axes.f2.values=[residual, x]"])
    assert str(problem).startswith("command line: axes.f2.values=[residual, x]: axes.f2.values.1")


def test_plugins_of_a_base_that_stands_inside_are_imported(path, monkeypatch):
    (path.parent / "my_convs_of_study.py").write_text(
        "from typing import Literal\n"
        "from awlab.spec.conv import Conv\n"
        "class Gated(Conv):\n"
        "    kind: Literal['gated_of_study'] = 'gated_of_study'\n"
    )
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(Conv, "members", dict(Conv.members))
    base = yaml.safe_load(BASE) | {"plugins": ["my_convs_of_study"]}
    axes = {"conv": {"path": "model.conv", "values": [None, {"kind": "gated_of_study"}]}}
    study = yaml.safe_load(STUDY) | {"base": base, "axes": axes, "baseline": "none"}
    path.write_text(yaml.safe_dump(study))
    planned = plan(*read_ablation(path))
    assert planned["gated_of_study"].runs[0].experiment.plugins == ("my_convs_of_study",)


def test_a_plugin_of_the_base_that_fails_is_said(path):
    base = yaml.safe_load(BASE) | {"plugins": ["no_such_module_of_mine"]}
    path.write_text(yaml.safe_dump(yaml.safe_load(STUDY) | {"base": base}))
    (problem,) = refused(path)
    assert "no_such_module_of_mine" in problem.message


def test_a_study_that_is_no_mapping_is_refused(path):
    path.write_text("- 1\n")
    assert refused(path)


def test_files_of_both_kinds_are_validated(path):
    validate_file(path)
    validate_file(path.parents[1] / "experiments" / "base.yaml")


def test_a_study_is_validated_with_its_cells(path):
    path.write_text(STUDY.replace("product]", "produkt]"))
    with pytest.raises(SpecError, match="cell produkt"):
        validate_file(path)


def test_a_study_without_axes_is_still_a_study(path):
    path.write_text(STUDY.replace("axes:", "axis:"))
    with pytest.raises(SpecError, match="Did you mean 'axes'"):
        validate_file(path)


def test_the_two_kinds_of_files_are_told_apart(path):
    assert is_ablation(path)
    assert not is_ablation(path.parents[1] / "experiments" / "base.yaml")
    with pytest.raises(SpecError, match="no such file"):
        is_ablation(path.with_name("missing.yaml"))
