"""Networks that are called through torch.compile."""

import copy
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch._inductor import config

from awlab.execute.exit_codes import PREEMPTED
from awlab.gradcam import GradCAM
from awlab.nn import AWConv2d
from awlab.record.record import read_metrics
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.training import SGD, Training
from awlab.train import classification, fit
from awlab.train.callbacks import StepSeed
from awlab.train.classification import ClassificationModule
from awlab.train.compiler import check_compiler
from awlab.train.signals import StopError

NETWORK = {"kind": "wide_resnet", "depth": 10, "width": 1, "dropout": 0.2, "conv": {"kind": "aw"}}


@pytest.fixture(autouse=True)
def nothing_compiled(monkeypatch, tmp_path_factory):
    # Of a folder that is kept, what is compiled already need not be compiled again.
    cache = tmp_path_factory.getbasetemp() / "compiled"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))
    torch._dynamo.reset()
    counters.clear()


@pytest.fixture
def traced(monkeypatch):
    """Do all but generate code, which takes minutes on two cores."""

    def compile_in_place(network):
        network.compile(backend="aot_eager")

    monkeypatch.setattr(classification, "compile_in_place", compile_in_place)


@pytest.fixture
def stop_at(monkeypatch):
    """Ask this process to stop when the step with this number begins, once."""
    begin = StepSeed.on_train_batch_start

    def arm(step):
        def ask_and_begin(self, trainer, *arguments):
            if trainer.global_step == step:
                monkeypatch.setattr(StepSeed, "on_train_batch_start", begin)
                os.kill(os.getpid(), signal.SIGTERM)
            begin(self, trainer, *arguments)

        monkeypatch.setattr(StepSeed, "on_train_batch_start", ask_and_begin)

    return arm


def losses(experiment):
    rows = read_metrics(RunDirectory.of(experiment))
    return [row[name] for row in rows for name in ("train/loss", "val/loss") if name in row]


def module(*, compiled):
    torch.manual_seed(0)
    network = nn.Sequential(
        AWConv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(64, 5)
    )
    recipe = Training(epochs=2, batch_size=8, optimizer=SGD(lr=0.1))
    return ClassificationModule(network, recipe, num_classes=5, train_size=40, compiled=compiled)


def batch(images):
    torch.manual_seed(images)
    return torch.randn(images, 3, 6, 6), torch.arange(images) % 5


def train(module):
    """Two epochs; the batches of validation differ by an image in size."""
    optimizer = module.configure_optimizers()["optimizer"]
    seen = []
    for epoch in range(2):
        module.train()
        for step in range(3):
            torch.manual_seed(epoch * 3 + step)
            loss = module.training_step(batch(8), step)
            seen.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        module.eval()
        with torch.inference_mode():
            for images in (7, 6, 7, 5):
                module.validation_step(batch(images), 0)
        seen.append(module.take_metrics("val")["val/loss"])
    return seen


def test_steps_are_compiled_once_and_evaluation_for_any_batch(traced):
    expected = train(module(compiled=False))
    assert not counters["stats"]
    assert train(module(compiled=True)) == pytest.approx(expected, rel=1e-5)
    assert counters["stats"]["unique_graphs"] == 2
    assert not counters["graph_break"]


def test_names_of_weights_stay_and_copies_are_possible(traced):
    compiled, plain = module(compiled=True).eval(), module(compiled=False).eval()
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    images, _ = batch(4)
    torch.testing.assert_close(compiled(images), plain(images))
    assert counters["stats"]["unique_graphs"] == 1
    torch.testing.assert_close(copy.deepcopy(compiled)(images), plain(images))


def test_hooks_of_grad_cam_are_called(traced):
    compiled, plain = module(compiled=True).eval(), module(compiled=False).eval()
    images, _ = batch(4)
    compiled(images)
    maps = [GradCAM(each.network, "1")(images) for each in (compiled, plain)]
    torch.testing.assert_close(*maps)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_goes_on_compiled_from_where_it_was(tiny, weights, stop_at, tmp_path):
    recipe = {"model": NETWORK, "training": {"ema": {"decay": 0.9}, "gradient_clip_norm": 1.0}}
    expected = tiny(**recipe, runtime={"root": str(tmp_path / "expected"), "gradcam_images": 2})
    assert fit.run(expected) is not None
    stop_at(2)
    with pytest.raises(StopError) as stopped:
        fit.run(tiny(**recipe))
    assert stopped.value.code == PREEMPTED
    compiled = tiny(**recipe, runtime={"compile": True, "gradcam_images": 2})
    assert fit.run(compiled) is not None
    assert compiled.id == expected.id
    assert losses(compiled) == pytest.approx(losses(expected), rel=1e-4)
    torch.testing.assert_close(weights(compiled), weights(expected), rtol=1e-3, atol=1e-4)
    pictures = [len(list(RunDirectory.of(e).gradcam.iterdir())) for e in (compiled, expected)]
    assert pictures[0] == pictures[1] > 0


def test_without_a_compiler_a_run_is_refused_and_nothing_left(tiny, monkeypatch):
    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    experiment = tiny(runtime={"compile": True})
    message = r"runtime.compile \(=true\) needs .* C\+\+ compiler.*InvalidCxxCompiler.*no-such-comp"
    with pytest.raises(InputError, match=message):
        fit.run(experiment)
    assert not RunDirectory.of(experiment).path.exists()
    with pytest.raises(InputError, match="install it, or leave the setting out"):
        check_compiler(torch.device("cpu"))


def test_code_for_a_cpu_is_kept_apart(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)
    folder = os.environ["TORCHINDUCTOR_CACHE_DIR"]
    check_compiler(torch.device("cpu"))
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == folder  # The caller's.
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    check_compiler(torch.device("meta"))
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
    check_compiler(torch.device("cpu"))
    own = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert own.name.startswith("awlab-compiled-")
    own.rmdir()
