import json
import random
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awlab.spec.attention import CBAM
from awlab.spec.conv import AWConvolution, Conv
from awlab.spec.errors import SpecError
from awlab.spec.experiment import Experiment
from awlab.spec.load import MAX_BYTES, dump, load, load_experiment, parse, read_document
from awlab.spec.model import AAWideResNet, AWInAA
from awlab.spec.training import EMA, SGD, MultiStep

TEXT = """\
name: study
model:
  kind: aa_wide_resnet
  depth: 10
  aw: {position: 1, conv: {kind: aw, expand: {c1: full, h: 3}, f2: product}}
  attention: {kind: cbam}
data: {kind: cifar100, augmentation: {rotation: 1e+1}}
training:
  epochs: 200
  batch_size: 128
  optimizer: {kind: sgd, lr: 1e-1, weight_decay: 5e-4}
  schedule: {kind: multi_step, milestones: [60, 120]}
  precision: bf16-mixed
paper: {source: "Table 2", top1_error: 28, note: "it's \\u00e4 #1: 'x'"}
runtime: {devices: 2, wandb: offline}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(TEXT)
    return path


def message(*arguments):
    with pytest.raises(SpecError) as caught:
        load_experiment(*arguments)
    return str(caught.value)


def test_an_experiment(file):
    experiment = load_experiment(file)
    conv = AWConvolution(expand={"c1": "full", "h": 3}, f2="product")
    assert experiment.model == AAWideResNet(
        depth=10, aw=AWInAA(position=1, conv=conv), attention=CBAM()
    )
    assert experiment.training.optimizer == SGD(lr=0.1, weight_decay=0.0005)
    assert experiment.training.schedule == MultiStep(milestones=(60, 120))
    assert load_experiment(str(file)) == experiment


def test_overrides(file):
    overrides = ["training.epochs=5", "model.aw=null", "training.ema.decay=0.9", "seed=3"]
    experiment = load_experiment(file, overrides)
    assert experiment.training.epochs == 5
    assert experiment.model == AAWideResNet(depth=10, attention=CBAM())
    assert experiment.training.ema == EMA(decay=0.9)
    assert experiment.seed == 3


def test_problems_of_the_file_and_of_arguments_come_together(file):
    file.write_text(TEXT.replace("depth: 10", "depht: 10") + "name: twice\n")
    overrides = ["training.epochs=abc", "modeel.aw=null", "epochs"]
    assert [line for line in message(file, overrides).splitlines() if line[0] != " "] == [
        f"{file}:4:3: model.depht: unknown key. Did you mean 'depth'?",
        f"{file}:16:1: name: duplicate key, already given in line 1",
        "command line: epochs: expected key=value with a key such as training.epochs",
        "command line: training.epochs=abc: must be an integer, not 'abc'",
        "command line: modeel.aw=null: modeel: unknown key. Did you mean 'model'?",
    ]


def test_plugins_are_imported_before_validation(file, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Conv, "members", dict(Conv.members))
    (tmp_path / "plugin_of_load.py").write_text(
        "from typing import Literal\nfrom awlab import Conv\n"
        "class Mine(Conv):\n    kind: Literal['mine'] = 'mine'\n    strength: float = 0.5\n"
    )
    overrides = ["plugins=[plugin_of_load]", "model.aw.conv={kind: mine, strength: 1}"]
    experiment = load_experiment(file, overrides)
    conv = {"kind": "mine", "strength": 1.0}
    assert experiment.model.model_dump()["aw"]["conv"] == conv
    assert load_experiment(file, ["model.aw.conv={kind: mine}"]).id != experiment.id


def test_a_plugin_that_fails_is_the_only_problem(file):
    text = message(file, ["plugins=[not_there]", "model.kind=mine"])
    assert text == (
        "command line: plugins=[not_there]: plugins.0: the plugin 'not_there' cannot be imported: "
        "ModuleNotFoundError: No module named 'not_there'"
    )


def test_an_invalid_name_of_a_plugin(file):
    assert message(file, ["plugins=['a b']"]) == (
        "command line: plugins=['a b']: plugins.0: must be the name of a module, such as "
        "mylab.gated, not 'a b'"
    )


def test_a_missing_file(file):
    near = file.with_name("b.yaml")
    assert message(near) == f"{near}: no such file. Did you mean '{file}'?"
    far = file.parent / "nowhere" / "quite_other"
    assert message(far) == f"{far}: no such file"


def test_a_folder(tmp_path):
    assert message(tmp_path) == f"{tmp_path}: is a folder, expected a YAML file"


def test_an_ablation_is_no_experiment(file):
    file.write_text("name: study\nbase: base.yaml\naxes: {}\n")
    assert message(file) == (
        f"{file}: is an ablation; expected an experiment. `awlab ablate` executes ablations."
    )


def test_an_empty_file(file):
    file.write_text("")
    assert message(file) == f"{file}: is empty"


def test_a_binary_file(file):
    file.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert message(file) == f"{file}: is not a text in UTF-8 (byte 0x89 at 0)"
    file.write_bytes(b"name: a\0b")
    assert message(file) == f"{file}:1:8: the character U+0000 cannot be part of a text"


def test_a_byte_order_mark_is_no_content(file):
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load_experiment(file).name == "study"


@pytest.mark.fault
@pytest.mark.parametrize("key", ["class_path", "_target_", "import"])
def test_nothing_in_a_file_imports_a_class(file, tmp_path, monkeypatch, key):
    (tmp_path / "evil_of_load.py").write_text("Model = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = message(file, [f"model={{kind: resnet, depth: 18, {key}: evil_of_load.Model}}"])
    assert f"model.{key}: unknown key" in text
    assert "evil_of_load" not in sys.modules


@pytest.mark.fault
def test_tags_call_nothing(file, tmp_path):
    mark = tmp_path / "called"
    file.write_text(f"name: !!python/object/apply:os.mkdir ['{mark}']\n")
    assert "tags (tag:yaml.org,2002:python/object/apply:os.mkdir) are not allowed" in message(file)
    assert not mark.exists()


@pytest.mark.fault
def test_a_large_file_is_not_read(file):
    file.write_text("# " + "x" * MAX_BYTES)
    assert (
        message(file) == f"{file}: is larger than {MAX_BYTES} bytes, the most that a spec may have"
    )
    assert "is larger than" in message("/dev/zero")


def test_a_file_that_cannot_be_opened(file):
    assert message(f"{file}/x") == f"{file}/x: cannot be read: Not a directory"
    assert message("a" * 300).endswith(": cannot be read: File name too long")
    assert message("a\0b").endswith(": not a path: embedded null byte")


def test_parse_takes_data_in_memory(file):
    data = read_document(file).data
    assert parse(Experiment, data) == load_experiment(file)
    assert parse(Conv, {"kind": "aw", "f2": "product"}) == AWConvolution(f2="product")
    del data["model"]
    with pytest.raises(SpecError, match=r"^model: is missing$"):
        parse(Experiment, data)


def test_load_takes_any_spec(tmp_path):
    path = tmp_path / "conv.yaml"
    path.write_text("{kind: aw}")
    assert load(path, ["reduction=4"], Conv) == AWConvolution(reduction=4)


def test_a_dump_loads_back(file):
    experiment = load_experiment(file)
    text = dump(experiment)
    file.write_text(text)
    again = load_experiment(file)
    assert again == experiment
    assert again.id == experiment.id
    assert dump(again) == text


def test_a_dump_is_readable(file):
    lines = dump(load_experiment(file)).splitlines()
    assert lines[:6] == [
        "name: study",
        "plugins: []",
        "model:",
        "  kind: aa_wide_resnet",
        "  weights: null",
        "  depth: 10",
    ]
    assert "    milestones: [60, 120]" in lines


WORDS = st.sampled_from(list("?-:'#}],%@|>\"\n\t\0")) | st.sampled_from(
    [
        "null",
        "true",
        "-1",
        "1e400",
        ".nan",
        "[]",
        "{}",
        "kind:",
        "&a ",
        "*a",
        "!x ",
        "<<: ",
        "9" * 30,
    ]
)


@st.composite
def mutated(draw):
    text = TEXT
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(WORDS | st.text(max_size=3)) + text[end:]
    return text


@settings(max_examples=200, deadline=None, database=None)
@given(mutated().map(lambda text: text.encode("utf-8", "replace")) | st.binary())
def test_any_file_is_loaded_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(content)
    with suppress(SpecError):
        assert isinstance(load_experiment(path), Experiment)


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.lists(
        st.text() | st.tuples(st.sampled_from(["name", "model.aw", "a.0"]), st.text()).map("=".join)
    )
)
def test_any_argument_is_applied_or_refused(tmp_path_factory, overrides):
    path = tmp_path_factory.getbasetemp() / "base.yaml"
    path.write_text(TEXT)
    with suppress(SpecError):
        assert isinstance(load_experiment(path, overrides), Experiment)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=5,
)


def nodes(data):
    if isinstance(data, dict):
        for key in data:
            yield data, key
            yield from nodes(data[key])


@settings(max_examples=200, deadline=None, database=None)
@given(st.randoms(use_true_random=False), JSON)
def test_any_data_is_parsed_or_refused(pick: random.Random, value):
    data = {"data": json.loads(json.dumps(VALID))}
    parent, key = pick.choice(list(nodes(data)))
    parent[key] = value
    with suppress(SpecError):
        assert isinstance(parse(Experiment, data["data"]), Experiment)


VALID = {
    "name": "study",
    "plugins": [],
    "model": {"kind": "resnet", "depth": 50, "conv": {"kind": "aw", "expand": {"c1": 2}}},
    "data": {"kind": "image_folder", "folder": "f", "classes": 2, "mean": [0, 0, 0]},
    "training": {
        "epochs": 1,
        "batch_size": 1,
        "optimizer": {"kind": "adamw", "lr": 1, "betas": [0.9, 0.99]},
        "schedule": {"kind": "multi_step", "milestones": [1]},
        "ema": {"decay": 0.5},
    },
    "paper": {"source": "x", "note": "y"},
    "runtime": {"devices": 1, "workers": "auto"},
}
