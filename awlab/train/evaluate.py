"""`awlab eval`: measure the trained weights of a run, finished or not."""

from pathlib import Path
from typing import Literal

import lightning.pytorch as pl

from awlab.data.errors import DataError
from awlab.spec.errors import InputError
from awlab.train.devices import Division, choose_devices
from awlab.train.parts import module_of
from awlab.train.quiet import deterministic, logged
from awlab.train.trained import TrainedRun, Weights
from awlab.train.trainer import build_trainer


def evaluate(
    folder: Path, *, split: Literal["test", "val"] = "test", weights: Weights = "last"
) -> dict[str, float]:
    """Measure the weights of a run on one device; the run directory stays as it is.

    Args:
        folder: The run directory.
        split: Which images.
        weights: Which weights.

    Returns:
        `<split>/loss`, `<split>/top1_error`, ... of a classifier, `<split>/map`, ... of a detector.
        Errors and precisions are percent.

    Raises:
        InputError: When there is no such run, it has no such weights, or its data are missing or
            damaged.
    """
    run = TrainedRun.read(folder)
    network = run.network(weights)
    data = run.data()
    with logged(None), deterministic():
        module = module_of(network, run.experiment, train_size=data.train_size)
        trainer = _trainer(run)
        measure = trainer.test if split == "test" else trainer.validate
        try:
            measure(module, datamodule=data, verbose=False)
        except DataError as error:
            raise InputError(str(error)) from error
        return module.take_metrics(split)


def _trainer(run: TrainedRun) -> pl.Trainer:
    alone = run.experiment.runtime.model_copy(update={"devices": 1})
    return build_trainer(
        run.experiment.training,
        run.directory,
        devices=choose_devices(alone, world_size=None, local_size=None),
        ranks=None,
        division=Division(images=1, accumulation=1),
        loggers=[],
        callbacks=[],
    )
