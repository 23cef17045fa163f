import lightning.pytorch as pl
import pytest
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import EMAWeightAveraging, weight_averaging
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.training import EMA, SGD, Training
from awlab.train.checkpoint import AtomicCheckpointIO
from awlab.train.devices import Devices, Division
from awlab.train.quiet import logged
from awlab.train.ranks import Ranks
from awlab.train.trainer import averaging, build_trainer, check_precision

CPU = Devices("cpu", 1)
WHOLE = Division(8, 1)


def training(**fields):
    return Training(epochs=3, batch_size=8, optimizer=SGD(lr=0.1), **fields)


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 0)  # Lightning sets it for good.

    def make(spec=None, *, ranks=None, devices=CPU, division=WHOLE):
        with logged(None):
            return build_trainer(
                spec or training(),
                RunDirectory(tmp_path),
                devices=devices,
                ranks=ranks,
                division=division,
                loggers=[],
                callbacks=[],
            )

    return make


def test_the_recipe_reaches_lightning(build):
    spec = training(gradient_clip_norm=0.5, precision="bf16-mixed")
    trainer = build(spec, division=Division(2, 4))
    assert trainer.max_epochs == 3
    assert trainer.accumulate_grad_batches == 4
    assert (trainer.gradient_clip_val, trainer.gradient_clip_algorithm) == (0.5, "norm")
    assert trainer.precision == "bf16-mixed"
    assert isinstance(trainer.strategy, SingleDeviceStrategy)
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)


def test_several_ranks_are_ddp_with_gloo_on_a_cpu(build):
    trainer = build(ranks=Ranks(3, 1, 4, 2, "127.0.0.1", 29500), devices=Devices("cpu", 4))
    assert isinstance(trainer.strategy, DDPStrategy)
    assert trainer.strategy.process_group_backend == "gloo"
    assert (trainer.num_nodes, trainer.num_devices, trainer.world_size) == (2, 2, 4)


def test_a_single_rank_needs_no_group(build):
    trainer = build(ranks=Ranks(0, 0, 1, 1, "127.0.0.1", 29500))
    assert isinstance(trainer.strategy, SingleDeviceStrategy)


def test_slurm_is_not_left_to_lightning(build, monkeypatch):
    class TakenOverError(Exception):
        pass

    def take_over(*_, **__):
        raise TakenOverError

    for name, value in {"JOB_ID": "1", "NTASKS": "1", "PROCID": "0", "LOCALID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_JOB_NAME", "study")
    monkeypatch.setattr(SLURMEnvironment, "__init__", take_over)
    with logged(None), pytest.raises(TakenOverError):
        pl.Trainer(accelerator="cpu", logger=False)
    build()


def test_weights_are_averaged_when_asked():
    assert averaging(training(), CPU) == []
    (callback,) = averaging(training(ema=EMA(decay=0.9)), CPU)
    assert isinstance(callback, EMAWeightAveraging)


class Still(pl.LightningModule):
    """Has a weight, and trains nothing."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_the_average_is_where_the_network_is_going_to_be(kind, monkeypatch):
    made = []
    monkeypatch.setattr(
        weight_averaging, "AveragedModel", lambda *, device, **_: made.append(torch.device(device))
    )
    (callback,) = averaging(training(ema=EMA(decay=0.9)), Devices(kind, 1))
    # Lightning asks before it moves the network.
    with logged(None):
        callback.setup(pl.Trainer(accelerator="cpu", logger=False), Still(), "fit")
    assert made == [torch.device("cuda" if kind == "gpu" else "cpu")]


def test_float16_needs_a_gpu():
    check_precision(training(precision="16-mixed"), Devices("gpu", 1))
    check_precision(training(precision="bf16-mixed"), CPU)
    with pytest.raises(
        InputError, match="precision 16-mixed needs a GPU; on a CPU 32-true and bf16"
    ):
        check_precision(training(precision="16-mixed"), CPU)
