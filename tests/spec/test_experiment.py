import copy
import json
from pathlib import Path

import pytest

from awlab.spec.attention import Attention
from awlab.spec.conv import Conv
from awlab.spec.data import Data
from awlab.spec.errors import SpecError
from awlab.spec.experiment import NOT_IDENTITY, Experiment, Paper
from awlab.spec.load import load_experiment, parse
from awlab.spec.model import Model
from awlab.spec.runtime import Runtime
from awlab.spec.training import Optimizer, Schedule

GOLDEN = json.loads((Path(__file__).parent / "golden" / "ids.json").read_text())
BASE = {
    "name": "study",
    "model": {
        "kind": "aa_wide_resnet",
        "depth": 10,
        "width": 10,
        "dropout": 0.1,
        "self_attention": {},
        "aw": {"position": 1, "conv": {"kind": "aw", "expand": {"c1": "full"}}},
        "attention": {"kind": "cbam"},
    },
    "data": {"kind": "cifar100"},
    "training": {
        "epochs": 2,
        "batch_size": 8,
        "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9},
        "schedule": {"kind": "cosine"},
        "gradient_clip_norm": 1,
        "ema": {},
    },
}
OTHER = {
    "model.kind": None,
    "model.weights": {"file": "resnet.pt", "sha256": 64 * "0"},
    "model.depth": 16,
    "model.width": 20,
    "model.dropout": 0.2,
    "model.self_attention.heads": 4,
    "model.self_attention.key_ratio": 0.4,
    "model.self_attention.value_ratio": 0.2,
    "model.self_attention.min_key_dims_per_head": 20,
    "model.self_attention.qkv_kernel_size": 1,
    "model.self_attention.relative": False,
    "model.aw.position": 2,
    "model.aw.conv.kind": None,
    "model.aw.conv.expand": {},
    "model.aw.conv.f2": "product",
    "model.aw.conv.reduction": 8,
    "model.aw.conv.min_hidden": 4,
    "model.aw.conv.norm": "layer",
    "model.attention.kind": None,
    "model.attention.reduction": 8,
    "model.attention.variant": "spatial",
    "data.kind": "cifar10",
    "data.split_seed": 1,
    "data.validation_fraction": 0.2,
    "data.augmentation.crop_padding": 2,
    "data.augmentation.horizontal_flip": False,
    "data.augmentation.rotation": 5,
    "training.epochs": 3,
    "training.batch_size": 4,
    "training.optimizer.kind": None,
    "training.optimizer.lr": 0.2,
    "training.optimizer.weight_decay": 0.1,
    "training.optimizer.decay": "weights",
    "training.optimizer.momentum": 0.8,
    "training.optimizer.nesterov": True,
    "training.schedule.kind": None,
    "training.schedule.warmup_epochs": 1,
    "training.schedule.final_fraction": 0.1,
    "training.label_smoothing": 0.1,
    "training.gradient_clip_norm": 2,
    "training.precision": "bf16-mixed",
    "training.ema.decay": 0.9,
    "training.sync_batchnorm": False,
    "training.test_weights": "best",
    "seed": 1,
}
"""Another value of each field that is part of the identity; None for a kind, which only changes
together with its fields."""


def leaves(data, path=()):
    if isinstance(data, dict) and path[-1:] != ("expand",):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def replaced(path, value):
    data = copy.deepcopy(BASE)
    parent = data
    *above, last = path.split(".")
    for key in above:
        parent = parent.setdefault(key, {})
    parent[last] = value
    return data


@pytest.fixture
def base():
    return parse(Experiment, BASE)


def test_the_id_is_ten_hexadecimal_digits(base):
    assert len(base.id) == 10
    assert int(base.id, 16) >= 0


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_ids(name):
    """A difference means that stored runs are no longer found: change the file when it is meant."""
    golden = GOLDEN[name]
    assert parse(Experiment, {"name": name, **golden["experiment"]}).id == golden["id"]


@pytest.mark.parametrize(
    "family",
    [Attention, Conv, Data, Model, Optimizer, Schedule],
    ids=lambda family: family.__name__,
)
def test_golden_ids_cover_every_kind(family):
    text = json.dumps(GOLDEN)
    kinds = [kind for kind, member in family.members.items() if member.__module__[:6] == "awlab."]
    assert kinds
    assert [kind for kind in kinds if f'"kind": "{kind}"' not in text] == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"plugins": ["json"]},
        {"paper": {"source": "Table 2", "top1_error": 28.01}},
        {"runtime": {"devices": 2, "root": "elsewhere", "wandb": "online"}},
    ],
)
def test_what_cannot_change_a_result_is_no_part_of_the_identity(base, change):
    other = parse(Experiment, {**BASE, **change})
    assert other != base
    assert other.id == base.id


def test_each_other_field_is_listed(base):
    dumped = base.model_dump(mode="json", exclude=set(NOT_IDENTITY))
    assert {".".join(path) for path in leaves(dumped)} == set(OTHER)


@pytest.mark.parametrize("path", [path for path, value in OTHER.items() if value is not None])
def test_each_other_field_changes_the_identity(base, path):
    assert parse(Experiment, replaced(path, OTHER[path])).id != base.id


@pytest.mark.parametrize(
    ("path", "node"),
    [
        ("model", {"kind": "wide_resnet", "depth": 10}),
        ("model.attention", {"kind": "se", "reduction": 16}),
        ("training.optimizer", {"kind": "adamw", "lr": 0.1}),
        ("training.schedule", {"kind": "constant"}),
        ("model.aw", None),
        ("training.ema", None),
        ("training.gradient_clip_norm", None),
    ],
)
def test_another_node_changes_the_identity(base, path, node):
    assert parse(Experiment, replaced(path, node)).id != base.id


def test_the_order_and_the_spelling_of_numbers_do_not_matter(base):
    data = replaced("training.optimizer", {"momentum": 0.90, "lr": 1e-1, "kind": "sgd"})
    reordered = dict(reversed(data.items()))
    reordered["training"]["gradient_clip_norm"] = 1.0
    assert parse(Experiment, reordered).id == base.id


def test_defaults_that_are_written_out_mean_the_same(base):
    assert parse(Experiment, base.model_dump(mode="json")).id == base.id


@pytest.mark.parametrize(
    "field",
    ["training.label_smoothing", "training.test_weights", "seed", "data.augmentation", "paper"],
)
def test_a_run_stored_before_a_field_existed_keeps_its_identity(base, field, tmp_path):
    stored = base.model_dump(mode="json")
    parent = stored
    *above, last = field.split(".")
    for key in above:
        parent = parent[key]
    del parent[last]
    path = tmp_path / "experiment.yaml"
    path.write_text(json.dumps(stored))
    assert load_experiment(path).id == base.id


def test_a_copy_has_its_own_identity(base):
    assert base.id != base.model_copy(update={"seed": 7}).id
    assert base.model_copy(update={"seed": 7}).id == parse(Experiment, replaced("seed", 7)).id


def test_defaults():
    assert parse(Experiment, BASE).runtime == Runtime()
    assert parse(Experiment, BASE).seed == 0


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1", True])
def test_seeds(seed):
    with pytest.raises(SpecError, match="seed: must be"):
        parse(Experiment, {**BASE, "seed": seed})


def test_a_paper_row_needs_a_source():
    assert Paper(source="Table 1").gmacs is None
    with pytest.raises(SpecError, match=r"paper.source: is missing"):
        parse(Experiment, {**BASE, "paper": {"top1_error": 1}})


def test_the_network_and_the_data_are_of_one_task():
    scenes, detector = {"kind": "digit_scenes"}, {"kind": "faster_rcnn"}
    assert parse(Experiment, {**BASE, "model": detector, "data": scenes}).data.task == "detection"
    message = "model aa_wide_resnet is for classification, data digit_scenes are for detection; "
    with pytest.raises(SpecError, match=f"{message}models for detection are faster_rcnn, ssd300"):
        parse(Experiment, {**BASE, "data": scenes})
    message = "model faster_rcnn is for detection, data cifar100 are for classification; models "
    with pytest.raises(SpecError, match=f"{message}for classification are aa_wide_resnet, "):
        parse(Experiment, {**BASE, "model": detector})


def test_detectors_have_no_labels_to_smooth():
    training = {**BASE["training"], "label_smoothing": 0.1}
    nodes = {"model": {"kind": "ssd300"}, "data": {"kind": "digit_scenes"}, "training": training}
    with pytest.raises(SpecError, match=r"label_smoothing \(=0.1\) would be ignored: detectors"):
        parse(Experiment, {**BASE, **nodes})


def test_detectors_are_not_compiled():
    nodes = {"model": {"kind": "ssd300"}, "data": {"kind": "digit_scenes"}}
    with pytest.raises(SpecError, match=r"runtime.compile \(=true\) is for classifiers: in a det"):
        parse(Experiment, {**BASE, **nodes, "runtime": {"compile": True}})
