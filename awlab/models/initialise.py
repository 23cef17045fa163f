"""Initial weights that depend on the seed and the name of a layer, and on nothing else."""

import hashlib
from functools import singledispatch
from typing import Any

import torch
from torch import nn


def initialise(network: nn.Module, seed: int, prefix: str = "") -> None:
    """Draw the initial weights of each module under a seed of its own, in place.

    The module's seed is a hash of `seed` and its dotted name. So layers of the same name and shape
    start bit-equal in two networks, whatever else these contain, and the order in which a network
    builds its layers means nothing. Modules come after those they hold, so that they can adjust
    them. The state of torch's generator is left as it was. A network on the meta device is left
    alone.

    Args:
        network: All of it, or a layer of one.
        seed: Of the whole network.
        prefix: Dotted name of the layer.
    """
    if any(tensor.is_meta for tensor in network.parameters()):
        return
    with torch.random.fork_rng(devices=[]):
        for name, module in reversed(list(network.named_modules())):
            torch.default_generator.manual_seed(_seed(seed, f"{prefix}.{name}".strip(".")))
            reset(module)


@singledispatch
def reset(module: nn.Module) -> None:
    """Draw the initial weights of one module, without those it holds.

    By default with its own `reset_parameters`, if it has one. Convolutions: normal distribution of
    variance 2 / fan_out (He et al. 2015), biases zero. Register a class to have it otherwise.
    """
    reset_parameters: Any = getattr(module, "reset_parameters", None)
    if reset_parameters is not None:
        reset_parameters()


@reset.register
def _(module: nn.Conv2d) -> None:
    module.reset_parameters()
    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _seed(seed: int, name: str) -> int:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little")
