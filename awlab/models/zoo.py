"""Networks of torchvision and timm, with as many classes as are asked for."""

import importlib
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision import models as torchvision_models

from awlab.models.weights import StateDict, download_weights

WITHOUT_AUXILIARY_OUTPUTS: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": False} for name in ("googlenet", "inception_v3")
}
"""Their auxiliary outputs are for a loss of their own; without them they map images to logits."""


def torchvision_network(
    name: str, *, num_classes: int, channels: int = 3, pretrained: bool = False
) -> nn.Module:
    """Build a classification network of torchvision.

    Args:
        name: As in `torchvision.models.list_models`.
        num_classes: Outputs.
        channels: Colour channels of the images; torchvision's networks take three.
        pretrained: Whether to begin with torchvision's default weights, which it downloads. The
            last layer is among them only when it has as many classes. On the meta device there are
            none.

    Raises:
        ValueError: For another name or number of channels, or when the weights cannot be read.
    """
    _check_name("torchvision", name, torchvision_models.list_models(module=torchvision_models))
    if channels != 3:
        raise ValueError(f"networks of torchvision take images of 3 channels, not {channels}")
    arguments = WITHOUT_AUXILIARY_OUTPUTS.get(name, {})
    network = _on_any_device(
        lambda: torchvision_models.get_model(
            name, weights=None, num_classes=num_classes, **arguments
        )
    )
    if pretrained and not _on_meta():
        weights: Any = torchvision_models.get_model_weights(name)
        read = partial(download_weights, weights.DEFAULT)
        _load_all_that_fit(network, _read(read, f"torchvision's {name}"))
    return network


def timm_network(
    name: str, *, num_classes: int, channels: int = 3, pretrained: bool = False
) -> nn.Module:
    """Build a network of timm (extra `zoo`).

    Args:
        name: As in `timm.list_models`, also with the tag of its weights: `resnet50.a1_in1k`.
        num_classes: Outputs.
        channels: Colour channels of the images.
        pretrained: Whether to begin with timm's weights, which it downloads. On the meta device
            there are none.

    Raises:
        ValueError: For another name, without timm, or when the weights cannot be read.
    """
    timm = import_timm("timm")
    _check_name("timm", name.partition(".")[0], timm.list_models())
    arguments = {"num_classes": num_classes, "in_chans": channels}
    if pretrained and not _on_meta():
        return _read(
            lambda: timm.create_model(name, pretrained=True, **arguments), f"timm's {name}"
        )
    return _on_any_device(lambda: timm.create_model(name, pretrained=False, **arguments))


def import_timm(module: str) -> Any:
    """Import a module of timm, which the extra `zoo` installs.

    Raises:
        ValueError: When it cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"{module} cannot be imported ({error}): pip install 'awlab[zoo]'"
        ) from error


def _check_name(zoo: str, name: str, known: Iterable[str]) -> None:
    known = list(known)
    if name not in known:
        close = get_close_matches(name, known, n=3)
        hint = f". Did you mean {', '.join(map(repr, close))}?" if close else ""
        raise ValueError(f"{zoo} has no network {name!r}{hint}")


def _read(weights: Callable[[], Any], of: str) -> Any:
    try:
        return weights()
    except (OSError, RuntimeError) as error:  # no connection or damage, or no weights of that name
        raise ValueError(
            f"the pretrained weights of {of} cannot be read: {error}; a file with weights "
            "can be named in `weights`"
        ) from error


def _load_all_that_fit(network: nn.Module, values: StateDict) -> None:
    """Load weights of another number of classes, without the layer that makes the classes."""
    own = network.state_dict()
    kept = {
        name: tensor
        for name, tensor in values.items()
        if name in own and own[name].shape == tensor.shape
    }
    network.load_state_dict(kept, strict=False)


def _on_any_device(make: Callable[[], nn.Module]) -> nn.Module:
    """Build a network on the meta device also if it wants to see values, which that has not."""
    try:
        return make()
    except NotImplementedError:
        if not _on_meta():
            raise
    with torch.device("cpu"):
        return make().to("meta")


def _on_meta() -> bool:
    return torch.get_default_device().type == "meta"
