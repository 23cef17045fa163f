"""The parts of a training: what an experiment becomes on given devices."""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from awlab import build
from awlab.data.batched import BatchedData
from awlab.data.errors import DataError
from awlab.nn.sync_batch_norm import synchronise
from awlab.spec.detection_data import VOC, DetectionData
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.train.classification import ClassificationModule
from awlab.train.detection import DetectionModule
from awlab.train.detection_tally import DetectionTally
from awlab.train.devices import Devices, Division
from awlab.train.module import TrainingModule
from awlab.train.trainer import check_precision


def find_data(experiment: Experiment, *, images: int, download: bool) -> BatchedData:
    """Find the data of an experiment and make batches of them.

    Args:
        experiment: Says which.
        images: Per device and micro-batch.
        download: Whether a missing data set may be downloaded.

    Raises:
        InputError: When they are missing or are not what the experiment says.
    """
    spec, runtime = experiment.data, experiment.runtime
    root = Path(runtime.data_root)
    seed, workers = experiment.seed, runtime.workers
    if isinstance(spec, DetectionData):
        return build.build_detection_data(
            spec, root=root, batch_size=images, seed=seed, workers=workers
        )
    return build.build_data(
        spec, root=root, batch_size=images, seed=seed, workers=workers, download=download
    )


def prepare_data(experiment: Experiment, division: Division) -> BatchedData:
    """Make data ready to be read; fetch them where they are missing and that is allowed.

    Raises:
        InputError: When they are missing, too few, or not what the experiment says.
    """
    data = find_data(experiment, images=division.images, download=experiment.runtime.download)
    try:  # Complain before anything is written.
        data.prepare_data()
        data.setup("fit")
        data.steps_per_epoch(experiment.training.batch_size)
    except DataError as error:
        raise InputError(str(error)) from error
    return data


def build_module(
    experiment: Experiment, devices: Devices, *, train_size: int, begin: bool = True
) -> TrainingModule:
    """Build the network of an experiment and what trains it.

    Args:
        experiment: What is trained.
        devices: On what.
        train_size: Training images.
        begin: False where the weights of a checkpoint follow.

    Raises:
        InputError: When the devices cannot do what the experiment asks.
    """
    network = build.network(experiment, begin=begin)
    training, last = experiment.training, experiment.runtime.channels_last
    check_precision(training, devices)
    if training.sync_batchnorm and devices.count > 1:
        on_gpu = devices.kind == "gpu"
        convert = torch.nn.SyncBatchNorm.convert_sync_batchnorm if on_gpu else synchronise
        network = convert(network)
    return module_of(
        network,
        experiment,
        train_size=train_size,
        channels_last=devices.kind == "gpu" if last == "auto" else last,
        compiled=experiment.runtime.compile,
    )


def module_of(
    network: nn.Module,
    experiment: Experiment,
    *,
    train_size: int,
    channels_last: bool = False,
    compiled: bool = False,
) -> TrainingModule:
    """Wrap a network in what trains and measures it, by the task of the data.

    Raises:
        InputError: When what measures it is not installed.
    """
    training, data = experiment.training, experiment.data
    if data.task == "detection":
        return DetectionModule(
            network,
            training,
            train_size=train_size,
            measure=partial(DetectionTally, voc=isinstance(data, VOC)),
            channels_last=channels_last,
        )
    return ClassificationModule(
        network,
        training,
        num_classes=data.num_classes,
        train_size=train_size,
        channels_last=channels_last,
        compiled=compiled,
    )
