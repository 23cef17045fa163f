"""The smoke test of an experiment: two optimizer steps, before hours are spent on all of them."""

from collections.abc import Sequence

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from awlab.data.batched import BatchedData
from awlab.data.objects import Target, target
from awlab.record.run_directory import RunDirectory
from awlab.spec.detector import Detector
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.train.devices import choose_devices, divide
from awlab.train.failure import Failure, classify, tell
from awlab.train.parts import build_module, prepare_data
from awlab.train.quiet import deterministic, logged
from awlab.train.trainer import averaging, build_trainer

STEPS = 2
OBJECTS = 8
"""In a random image; COCO has seven on average."""
Batch = tuple[Tensor, Tensor] | tuple[list[Tensor], list[Target]]


def smoke(experiment: Experiment, devices: int = 1) -> tuple[Failure, str] | None:
    """Train two optimizer steps on random images, and validate; nothing is written.

    The data are prepared as for a run, so that what is missing is missed or fetched now.

    Args:
        experiment: What to try.
        devices: That a run of it has; this process takes one device and its part of a batch.

    Returns:
        The class of failure and the whole story; None when all is well.

    Raises:
        InputError: When the experiment cannot be run as it is.
    """
    try:
        with logged(None), deterministic():
            rehearse(experiment, devices, STEPS)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 a plugin may raise anything
        return classify(error), tell(error)
    return None


def rehearse(
    experiment: Experiment, devices: int, steps: int, callbacks: Sequence[Callback] = ()
) -> BatchedData:
    """Train some optimizer steps on random images, and validate; nothing is written.

    Args:
        experiment: What to try.
        devices: See `smoke`.
        steps: How many, unless a callback ends it earlier.
        callbacks: Of the trainer, besides those that belong to the training.

    Returns:
        The data that a run would train on.
    """
    training, runtime = experiment.training, experiment.runtime
    alone = runtime.model_copy(update={"devices": 1})
    device = choose_devices(alone, world_size=None, local_size=None)
    division = divide(
        training.batch_size, devices=devices, max_images=runtime.max_images_per_device
    )
    data = prepare_data(experiment, division)
    module = build_module(experiment, device, train_size=data.train_size)
    trainer = build_trainer(
        training,
        RunDirectory(runtime.root),
        devices=device,
        ranks=None,
        division=division,
        loggers=[],
        callbacks=[_Stop(), *averaging(training, device), *callbacks],
    )
    batch = _random_batch(experiment, division.images)
    train, val = _loader(batch, steps * division.accumulation), _loader(batch, 1)
    trainer.fit(module, train_dataloaders=train, val_dataloaders=val)
    assert 0 < trainer.global_step <= steps
    return data


class _Stop(Callback):
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = True


class _Repeated(Dataset[Batch]):
    def __init__(self, batch: Batch, count: int) -> None:
        self.batch = batch
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        return self.batch


def _loader(batch: Batch, count: int) -> DataLoader[Batch]:
    return DataLoader(_Repeated(batch, count), batch_size=None)


def _random_batch(experiment: Experiment, images: int) -> Batch:
    data = experiment.data
    if isinstance(experiment.model, Detector):
        size = (data.channels, *experiment.model.input_size)
        scenes = [torch.rand(size) for _ in range(images)]
        return scenes, [_random_objects(size, data.num_classes) for _ in range(images)]
    shape = (images, data.channels, data.image_size, data.image_size)
    return torch.randn(shape), torch.randint(data.num_classes, (images,))


def _random_objects(size: tuple[int, int, int], classes: int) -> Target:
    _, height, width = size
    corners = torch.rand(OBJECTS, 2, 2).sort(dim=1).values + torch.tensor([[0.0], [0.1]])
    boxes = (corners * torch.tensor([width, height]) / 1.1).flatten(1)
    labels = torch.randint(1, classes + 1, (OBJECTS,))
    return target(boxes.tolist(), labels.tolist())
