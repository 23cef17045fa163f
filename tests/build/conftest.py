"""What the tests of the bridge share."""

from collections.abc import Callable

import pytest

from awlab import spec


@pytest.fixture
def digits() -> Callable[..., spec.Experiment]:
    """Make an experiment that trains a model on the digits."""

    def experiment(model: spec.Model, seed: int = 0) -> spec.Experiment:
        return spec.Experiment(
            name="digits",
            model=model,
            data=spec.Digits(),
            training=spec.Training(epochs=1, batch_size=2, optimizer=spec.SGD(lr=0.1)),
            seed=seed,
        )

    return experiment
