import pytest

from awlab.plan.design import design
from awlab.plan.experiments import experiments
from awlab.spec.errors import SpecError
from awlab.spec.experiment import Experiment
from awlab.spec.model import ResNet, WideResNet


def made(ablation):
    return experiments(ablation, design(ablation).cells)


def axis(path, values):
    return {"axes": {"a": {"path": path, "values": values}}, "baseline": "first"}


def test_a_value_stands_at_its_path_and_nothing_else_changes(study):
    ablation = study()
    found = made(ablation)["f2=product,r=8"]
    expected = ablation.base.model_dump(mode="json")
    expected["model"]["conv"] |= {"f2": "product", "reduction": 8}
    assert found == Experiment.model_validate(expected)


def test_a_value_replaces_the_whole_node(study):
    base = study().base.model_dump(mode="json")
    base["model"]["conv"]["f2"] = "product"
    values = {"first": {"kind": "aw", "reduction": 4}, "plain": None}
    found = made(study(base=base, **axis("model.conv", values)))
    assert found["first"].model.model_dump()["conv"]["reduction"] == 4
    assert found["first"].model.model_dump()["conv"]["f2"] == "residual"
    assert found["plain"].model.model_dump()["conv"] is None


def test_a_value_may_be_of_another_kind(study):
    values = {"first": {"kind": "resnet"}, "wide": {"kind": "wide_resnet", "depth": 10}}
    found = made(study(**axis("model", values)))
    assert isinstance(found["first"].model, ResNet)
    assert isinstance(found["wide"].model, WideResNet)


def test_a_root_value_replaces_several_nodes(study):
    training = study().base.training.model_dump(mode="json")
    values = {
        "first": {"model": {"kind": "resnet"}, "training": training},
        "long": {"model": {"kind": "wide_resnet"}, "training": training | {"epochs": 9}},
    }
    found = made(study(**axis(".", values)))
    assert isinstance(found["long"].model, WideResNet)
    assert found["long"].training.epochs == 9
    assert found["long"].data == study().base.data


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("model.wdith", "model of kind resnet has no 'wdith', only kind, weights, depth, "),
        ("mdel", "an experiment has no 'mdel', only model, data, training. Did you mean 'model'?"),
        ("model.attention.reduction", "model.attention is null in the base, which has no 'reduc"),
        ("model.depth.x", "model.depth is 18 in the base, which has no 'x'"),
        ("training.optimizer.betas", "training.optimizer of kind sgd has no 'betas'"),
    ],
)
def test_a_path_that_names_no_field_is_refused(study, path, message):
    with pytest.raises(SpecError) as caught:
        made(study(**axis(path, {"first": 1})))
    assert str(caught.value).startswith(f"axes.a.path: {message}")


def test_a_value_that_does_not_fit_is_said_once_with_its_cells(study):
    axes = {
        "f2": {"path": "model.conv.f2", "values": ["residual", "produkt"]},
        "r": {"path": "model.conv.reduction", "values": [16, -1]},
    }
    with pytest.raises(SpecError) as caught:
        made(study(axes=axes))
    assert [str(problem) for problem in caught.value.problems] == [
        (
            "axes.r.values.1: model.conv.reduction: must be at least 1, not -1 "
            "(cell f2=residual,r=minus1 and 1 more)"
        ),
        (
            "axes.f2.values.1: model.conv.f2: must be 'residual' or 'product', not 'produkt' "
            "(cell f2=produkt,r=16 and 1 more). Did you mean 'product'?"
        ),
    ]


def test_a_combination_that_does_not_fit_is_laid_to_an_axis_below_it(study):
    model = {"kind": "aa_wide_resnet", "depth": 10, "width": 10}
    base = study().base.model_dump(mode="json") | {"model": model}
    axes = {
        "heads": {"path": "model.self_attention.heads", "values": [8, 32]},
        "width": {"path": "model.width", "values": [10, 20]},
    }
    with pytest.raises(SpecError) as caught:
        made(study(base=base, axes=axes, baseline={"heads": 8, "width": 20}))
    (problem,) = caught.value.problems
    assert problem.path == "axes.heads.values.1"
    assert problem.message.startswith("model: self_attention: value dims (=16)")
    assert problem.message.endswith("(cell heads=32,width=10)")


def test_a_value_below_a_root_axis_is_found(study):
    with pytest.raises(SpecError) as caught:
        made(study(**axis(".", {"first": {"model": {"kind": "resnet", "depth": 19}}})))
    assert caught.value.problems[0].path == "axes.a.values.first.model.depth"
