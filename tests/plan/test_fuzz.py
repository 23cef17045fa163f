"""Whatever stands in a study, the planner plans it or says what is wrong."""

from contextlib import suppress
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awlab.plan import plan
from awlab.spec.ablation import Ablation
from awlab.spec.errors import SpecError
from awlab.spec.load import parse

BASE = {
    "name": "base",
    "model": {"kind": "resnet", "depth": 18, "conv": {"kind": "aw"}},
    "data": {"kind": "digits"},
    "training": {"epochs": 1, "batch_size": 64, "optimizer": {"kind": "sgd", "lr": 0.1}},
    "runtime": {"root": "no-such-folder"},
}
words = st.sampled_from(
    ["f2", "r", "residual", "product", "8", "f2=product", "f2=product,r=8", "n"]
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 40), st.floats(), st.text(), words)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)
paths = st.sampled_from(
    [
        ".",
        "model",
        "model.conv",
        "model.conv.f2",
        "model.conv.expand",
        "model.conv.expand.c1",
        "training.optimizer",
        "training.epochs",
        "data",
        "seed",
        "model.x",
        "x",
        "a..b",
    ]
)
values = st.lists(
    anything
    | st.sampled_from(["residual", "product", {"kind": "aw"}, {"kind": "digits"}, {"c1": "full"}])
    | st.fixed_dictionaries({"model": st.just({"kind": "resnet"}) | anything}),
    max_size=3,
)
labelled = values | st.dictionaries(words | st.text(), anything, max_size=3)
axes = st.dictionaries(
    st.sampled_from(["f2", "r", "s"]),
    st.fixed_dictionaries({"path": paths, "values": labelled}) | anything,
    max_size=3,
)
names = words | st.dictionaries(words, words | scalars, max_size=2)
exclusions = st.fixed_dictionaries({"when": st.dictionaries(words, words), "reason": st.text()})
studies = st.fixed_dictionaries(
    {"name": st.just("study") | st.text(), "base": st.just(BASE) | anything},
    optional={
        "axes": axes,
        "baseline": names | anything,
        "design": st.sampled_from(["full_factorial", "leave_one_out", "list", "x"])
        | st.just("one_factor_at_a_time"),
        "include": st.lists(names, max_size=2) | anything,
        "exclude": st.lists(exclusions, max_size=2) | anything,
        "seeds": st.integers(-1, 3) | st.lists(st.integers(-1, 5), max_size=3) | anything,
        "paper": st.dictionaries(words, st.fixed_dictionaries({"source": st.text()}), max_size=2),
        "resources": anything,
        "metric": anything,
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(studies)
def test_any_data_is_planned_or_refused(data):
    with suppress(SpecError):
        plan(parse(Ablation, data))


good_axes = {
    "f2": {"path": "model.conv.f2", "values": ["residual", "product"]},
    "r": {"path": "model.conv.reduction", "values": [8, 16]},
}


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.sampled_from(["f2", "r"]), labelled, max_size=2), studies)
def test_a_study_with_one_fault_is_planned_or_refused(replaced, other):
    changed = {name: good_axes[name] | {"values": new} for name, new in replaced.items()}
    study = {"name": "s", "base": BASE, "axes": good_axes | changed, "seeds": 2}
    extra = {key: other[key] for key in ("include", "exclude", "design", "paper") if key in other}
    with suppress(SpecError):
        plan(parse(Ablation, study | {"baseline": {"f2": "residual", "r": 8}} | extra))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["residual", "product"]), min_size=1, unique=True),
    st.lists(st.integers(1, 64), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True),
)
def test_a_good_study_has_one_run_per_combination_and_seed(f2, reductions, seeds):
    axes = {"f2": f2, "r": reductions}
    study = {
        "name": "study",
        "base": BASE,
        "axes": {name: good_axes[name] | {"values": axes[name]} for name in axes},
        "baseline": {"f2": f2[-1], "r": reductions[0]},
        "seeds": seeds,
    }
    planned = plan(parse(Ablation, study))
    assert len({run.id for run in planned.runs}) == len(f2) * len(reductions) * len(seeds)
    for cell, (kind, reduction) in zip(planned.cells, product(f2, reductions), strict=True):
        conv = cell.runs[-1].experiment.model.model_dump()["conv"]
        assert (conv["f2"], conv["reduction"], cell.runs[-1].seed) == (kind, reduction, seeds[-1])
