"""A run read back from its directory: its experiment, its data, its trained network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from torch import nn

from awlab import build
from awlab.data.batched import BatchedData
from awlab.record.run_directory import RunDirectory
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.spec.load import load_experiment
from awlab.train.checkpoint import CorruptCheckpointError, load
from awlab.train.devices import divide
from awlab.train.parts import find_data

Weights = Literal["last", "best"]
"""Of the last epoch, or of the best one."""


@dataclass(frozen=True)
class TrainedRun:
    """A run that was at least begun.

    Attributes:
        directory: Its files.
        experiment: What was run.
    """

    directory: RunDirectory
    experiment: Experiment

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what a run directory says about its run.

        Raises:
            InputError: When it is not a run directory.
        """
        directory = RunDirectory(folder)
        if not directory.experiment.is_file():
            file = directory.experiment.name
            raise InputError(f"{folder} is not a run directory: it has no {file}")
        return cls(directory, load_experiment(directory.experiment))

    def network(self, weights: Weights) -> nn.Module:
        """Build the network with its trained weights, in evaluation mode.

        Raises:
            InputError: When there are no such weights, they are damaged, of another experiment, or
                do not fit the network.
        """
        state = self._state(weights)
        network = build.network(self.experiment, begin=False)
        try:
            network.load_state_dict(
                {
                    name.removeprefix("network."): value
                    for name, value in state.items()
                    if name.startswith("network.")
                }
            )
        except RuntimeError as error:
            raise InputError(
                f"the weights in {self.directory.checkpoints} do not fit the network that "
                f"{self.directory.experiment} describes; has its code changed? {error}"
            ) from error
        return network.eval()

    def data(self) -> BatchedData:
        """Find the data and make batches of them for one device.

        Raises:
            InputError: When they are missing or not what the experiment says.
        """
        spec, runtime = self.experiment, self.experiment.runtime
        division = divide(
            spec.training.batch_size, devices=1, max_images=runtime.max_images_per_device
        )
        return find_data(spec, images=division.images, download=False)

    def _state(self, weights: Weights) -> dict[str, Any]:
        files = self.directory
        path = files.best_checkpoint if weights == "best" else files.last_checkpoint
        try:
            return load(path, self.experiment)["state_dict"]
        except FileNotFoundError as error:
            raise InputError(
                f"{files.path} has no {weights} weights yet: {path.relative_to(files.path)} is "
                "missing; awlab run writes it after the first epoch"
            ) from error
        except CorruptCheckpointError as error:
            raise InputError(str(error)) from error
