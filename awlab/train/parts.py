"""The parts of a training: what an experiment becomes on given devices."""

from pathlib import Path

import torch

from awlab import build
from awlab.data.classification import ClassificationData
from awlab.data.errors import DataError
from awlab.nn.sync_batch_norm import synchronise
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.train.classification import ClassificationModule
from awlab.train.devices import Devices, Division
from awlab.train.trainer import check_precision


def prepare_data(experiment: Experiment, division: Division) -> ClassificationData:
    """Make data ready to be read; fetch them where they are missing and that is allowed.

    Raises:
        InputError: When they are missing, too few, or not what the experiment says.
    """
    spec, runtime = experiment, experiment.runtime
    data = build.build_data(
        spec.data,
        root=Path(runtime.data_root),
        batch_size=division.images,
        seed=spec.seed,
        workers=runtime.workers,
        download=runtime.download,
    )
    try:  # Complain before anything is written.
        data.prepare_data()
        data.setup("fit")
        data.steps_per_epoch(spec.training.batch_size)
    except DataError as error:
        raise InputError(str(error)) from error
    return data


def build_module(
    experiment: Experiment, devices: Devices, *, train_size: int, begin: bool = True
) -> ClassificationModule:
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
    return ClassificationModule(
        network,
        training,
        num_classes=experiment.data.num_classes,
        train_size=train_size,
        channels_last=devices.kind == "gpu" if last == "auto" else last,
    )
