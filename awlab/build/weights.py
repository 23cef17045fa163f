"""Weights that networks begin with, from their specs."""

from functools import singledispatch

from torch import nn

from awlab.models.weights import has_names_of, load_weights, read_weights
from awlab.spec.base import Family
from awlab.spec.model import Model
from awlab.spec.weights import Weights, content


@singledispatch
def start(spec: Family, network: nn.Module) -> None:
    """Let the network of that spec begin with the weights that it names, if it names some.

    Register a class whose `build_model` has loaded them.

    Raises:
        ValueError: When they cannot be read, are others than they were, or do not fit.
    """
    assert isinstance(spec, Model)
    if spec.weights is not None:
        Given(spec.weights).load_into(network)


class Given:
    """The tensors of a file that is still what it was.

    Args:
        spec: Names the file, and says for what it is.

    Raises:
        ValueError: When it cannot be read, or has changed.
    """

    def __init__(self, spec: Weights) -> None:
        try:
            found = content(spec.file)
        except ValueError as error:
            raise ValueError(f"weights: {error}") from error
        if found != spec.sha256:
            raise ValueError(
                f"weights: {spec.path} has other content than it had: its sha256 is {found[:10]}..."
                f", that of the experiment {str(spec.sha256)[:10]}..."
            )
        self.spec = spec
        self.values = read_weights(spec.path)

    def know_only(self, network: nn.Module) -> bool:
        """Whether all tensors but fresh ones have their names in the network."""
        return has_names_of(_part(self.spec, network), self.values, self.spec.fresh)

    def load_into(self, network: nn.Module) -> None:
        """Give the network, or the part of it that they are for, its values.

        Raises:
            ValueError: When they do not fit.
        """
        part = _part(self.spec, network)
        load_weights(part, self.values, fresh=self.spec.fresh, of=self.spec.path)


def _part(spec: Weights, network: nn.Module) -> nn.Module:
    if spec.into is None:
        return network
    try:
        return network.get_submodule(spec.into)
    except AttributeError:
        names = ", ".join(name for name, _ in network.named_children())
        raise ValueError(
            f"weights.into: the network has no part {spec.into!r}; its parts are {names}"
        ) from None
