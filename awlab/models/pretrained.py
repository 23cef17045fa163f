"""Weights of torchvision's classification networks for the backbones of detectors."""

from typing import Any

from torch import nn
from torchvision import models as torchvision_models

from awlab.models.stage import is_attention
from awlab.models.weights import StateDict, download_weights, load_weights


def torchvision_weights(name: str, network: str) -> StateDict:
    """Read weights, which torchvision downloads when they are not there.

    Args:
        name: Such as `IMAGENET1K_V1`.
        network: Torchvision's name of it.

    Raises:
        ValueError: When there are none of that name, or they cannot be read.
    """
    known: Any = torchvision_models.get_model_weights(network)
    names = [member.name for member in known]
    if name not in names:
        raise ValueError(
            f"torchvision has no backbone_weights {name!r} of {network}; it has {', '.join(names)}"
        )
    try:
        return download_weights(known[name])
    except (OSError, RuntimeError) as error:  # no connection, or damage
        raise ValueError(
            f"torchvision's weights {name} of {network} cannot be read: {error}"
        ) from error


def load_backbone(backbone: nn.Module, values: StateDict, *, of: str) -> None:
    """Give a backbone its pretrained weights, in place.

    What the pretrained network has besides, its classifier, is left out; attention in the backbone,
    which no pretrained network has, begins as it is.

    Args:
        backbone: Has the names of the pretrained network.
        values: By name.
        of: Whose they are, for errors.

    Raises:
        ValueError: When some are missing or of other shapes.
    """
    own = backbone.state_dict()
    fresh = [name for name in own if name not in values and is_attention(name)]
    given = {name: values[name] for name in own if name in values}
    load_weights(backbone, given, fresh=fresh, of=of)
