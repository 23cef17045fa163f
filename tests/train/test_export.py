import json
import sys

import pytest
import torch

from awlab import build
from awlab.record.run_directory import RunDirectory
from awlab.spec import (
    CIFAR,
    SGD,
    AAWideResNet,
    AWConvolution,
    CondConvolution,
    Data,
    Digits,
    Experiment,
    Model,
    ResNet,
    Runtime,
    SelfAttention,
    Training,
    WideResNet,
)
from awlab.spec.errors import InputError
from awlab.spec.load import load_experiment
from awlab.train import export
from awlab.train.checkpoint import AtomicCheckpointIO
from awlab.train.export import METADATA, export_run, trace

TINY = WideResNet(depth=10, width=1, conv=AWConvolution(), conv_stages=(2,))


@pytest.fixture
def made(tmp_path):
    """Make the directory of a run with the weights that a network begins with."""

    def make(model: Model = TINY, data: Data = Digits(), data_root="data") -> RunDirectory:  # noqa: B008
        spec = Experiment(
            name="tiny",
            model=model,
            data=data,
            training=Training(epochs=1, batch_size=8, optimizer=SGD(lr=0.1)),
            runtime=Runtime(root=str(tmp_path), data_root=str(data_root)),
        )
        directory = RunDirectory.of(spec)
        directory.create(spec)
        network = build.network(spec)
        with torch.no_grad():  # Statistics that are not all 0 and 1.
            network.train()(torch.randn(4, spec.data.channels, *2 * [spec.data.image_size]))
        state = {f"network.{name}": value for name, value in network.state_dict().items()}
        checkpoint = {"experiment": spec.model_dump(mode="json"), "state_dict": state}
        AtomicCheckpointIO().save_checkpoint(checkpoint, directory.last_checkpoint)
        return directory

    return make


def test_a_program_of_torch(made, tmp_path):
    directory = made()
    exported = export_run(directory.path, "torch")
    assert exported.file == directory.path / "exports" / "last.pt2"
    assert exported.difference < 1e-5
    files = {METADATA: ""}
    program = torch.export.load(exported.file, extra_files=files)
    assert program.module()(torch.zeros(5, 1, 8, 8)).shape == (5, 10)
    assert "block1.0.conv1.weight" in program.state_dict or len(program.state_dict) > 10
    facts = json.loads(files[METADATA])
    assert facts["classes"] == [str(digit) for digit in range(10)]
    assert (facts["shape"], len(facts["mean"]), len(facts["std"])) == (["batch", 1, 8, 8], 1, 1)
    stored = tmp_path / "stored.yaml"
    stored.write_text(facts["experiment"])
    assert load_experiment(stored).id == facts["id"] == directory.path.name[-10:]


def test_a_model_of_onnx(made, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    exported = export_run(made().path, "onnx", output=tmp_path / "deep" / "net.onnx")
    assert exported.file == tmp_path / "deep" / "net.onnx"
    assert exported.difference < 1e-4
    session = onnxruntime.InferenceSession(exported.file, providers=["CPUExecutionProvider"])
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape) == ("images", ["batch", 1, 8, 8])
    assert (logits.name, logits.shape) == ("logits", ["batch", 10])
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == [str(digit) for digit in range(10)]
    assert len(json.loads(facts["mean"])) == len(json.loads(facts["std"])) == 1
    assert facts["name"] == "tiny"
    assert list(exported.file.parent.iterdir()) == [exported.file]


def test_a_model_of_onnx_that_is_too_large_for_one_file(made, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    written = "torch.onnx._internal.exporter._onnx_program"
    monkeypatch.setattr(f"{written}._LARGE_MODEL_THRESHOLD", 0)
    file = export_run(made().path, "onnx").file
    assert {part.name for part in file.parent.iterdir()} == {"last.onnx", "last.onnx.data"}
    onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


EXPANDS = [
    {"c1": "full"},
    {"c2": "full"},
    {"n": "full"},
    {},
    {"c1": "1/2", "w": "full"},
    {"c1": "full", "h": "full", "w": "full"},
    {"c2": "full", "h": "full", "w": "full"},
    {"h": "full", "w": "full"},
]


@pytest.mark.slow
@pytest.mark.parametrize("f2", ["residual", "product"])
@pytest.mark.parametrize("expand", EXPANDS, ids=str)
def test_every_kind_of_gate_runs_in_onnx(made, expand, f2):
    pytest.importorskip("onnxruntime")
    conv = AWConvolution(expand=expand, f2=f2)
    assert export_run(made(TINY.model_copy(update={"conv": conv})).path, "onnx").difference < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        ResNet(depth=50, stem="cifar", conv=AWConvolution()),
        AAWideResNet(depth=10, width=10),
        AAWideResNet(depth=10, width=1, self_attention=SelfAttention(heads=1, relative=False)),
    ],
    ids=["AW-ResNet50", "AA-Wide-ResNet", "AA without positions"],
)
def test_networks_of_the_paper_run_in_onnx(made, small_cifar100, model):
    pytest.importorskip("onnxruntime")
    directory = made(model, CIFAR(kind="cifar100"), small_cifar100)
    assert export_run(directory.path, "onnx").difference < 1e-4


class Grouped(torch.nn.Module):
    """A convolution with a group per sample: its number is a setting of the operation."""

    def forward(self, x):
        weight = x.mean((2, 3), keepdim=True).flatten(0, 1)[:, None]
        y = torch.nn.functional.conv2d(x.flatten(0, 1)[None], weight, groups=len(weight))
        return y.flatten(1, 3) if len(x) == 2 else y.flatten()


def test_a_network_that_fixes_the_batch_is_refused():
    message = r"^the network cannot be exported for batches of any size. torch says: "
    with pytest.raises(InputError, match=message):
        trace(Grouped(), torch.randn(2, 3, 4, 4))


def test_onnx_has_no_form_for_a_group_of_each_sample(made):
    pytest.importorskip("timm")
    pytest.importorskip("onnxruntime")
    directory = made(TINY.model_copy(update={"conv": CondConvolution()}))
    assert export_run(directory.path, "torch").difference < 1e-5
    message = (
        r"^the network cannot be written in the format 'onnx'; a layer that makes a group of each "
        r"sample, as condconv does, .* can be exported as 'torch' only. torch says: [^\x1b]+$"
    )
    with pytest.raises(InputError, match=message):
        export_run(directory.path, "onnx")
    assert [file.name for file in directory.exports.iterdir()] == ["last.pt2"]


def test_a_file_that_computes_something_else_is_no_success(made, monkeypatch):
    class Wrong:
        @staticmethod
        def module():
            return lambda images: torch.ones(len(images), 10) * 1e3

    monkeypatch.setattr(export.torch.export, "load", lambda file: Wrong)
    with pytest.raises(RuntimeError, match=r"last\.pt2 computes other logits than the netw"):
        export_run(made().path, "torch")


@pytest.mark.parametrize("fault", ["other logits", "no disk", "no form"])
def test_a_failure_leaves_the_file_of_before(made, monkeypatch, fault):
    def fail(*_, **__):
        if fault == "no disk":
            raise OSError(28, "No space left on device")
        raise ValueError("\nno such operation\nand much more")

    directory = made()
    file = directory.exports / "last.pt2"
    file.parent.mkdir()
    file.write_text("before")
    message = {
        "other logits": r"last\.pt2 computes other logits",
        "no disk": r"^cannot write .*/exports/last\.pt2: No space left on device$",
        "no form": r"^the network cannot be written in the format 'torch'. torch says: no such op",
    }
    if fault == "other logits":
        monkeypatch.setattr(export, "TOLERANCE", -1.0)
    else:
        monkeypatch.setattr(export.torch.export, "save", fail)
    with pytest.raises((InputError, RuntimeError), match=message[fault]):
        export_run(directory.path, "torch")
    assert file.read_text() == "before"
    assert list(file.parent.iterdir()) == [file]


def test_data_that_are_missing(made, tmp_path):
    directory = made(TINY, CIFAR(kind="cifar100"), tmp_path / "nowhere")
    with pytest.raises(InputError, match="nowhere"):
        export_run(directory.path, "torch")


def test_what_is_missing(made, monkeypatch, tmp_path):
    directory = made()
    with pytest.raises(InputError, match="has no best weights yet"):
        export_run(directory.path, "torch", weights="best")
    with pytest.raises(InputError, match="is not a run directory"):
        export_run(tmp_path, "torch")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^cannot write .*file/net\.pt2: "):
        export_run(directory.path, "torch", output=tmp_path / "file" / "net.pt2")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"^ONNX cannot be written and tried .* 'awlab\[onnx\]'$"):
        export_run(directory.path, "onnx")
