"""Networks of other libraries, with AW-convolutions or others put into them."""

from torch import nn

from awlab.build import weights
from awlab.build.layers import build_conv
from awlab.build.networks import build_model, initial_weights
from awlab.models import timm_network, torchvision_network
from awlab.models.convert import convert
from awlab.spec import zoo as zoo_spec


@build_model.register
def _(
    spec: zoo_spec.Torchvision | zoo_spec.Timm, *, num_classes: int, channels: int, image_size: int
) -> nn.Module:
    build = {"torchvision": torchvision_network, "timm": timm_network}[spec.kind]
    network = build(
        spec.name, num_classes=num_classes, channels=channels, pretrained=spec.pretrained
    )
    given = None if spec.weights is None else weights.Given(spec.weights)
    # Weights of the plain network are converted as those that the library reads are.
    plain = spec.convert is None or (given is not None and given.know_only(network))
    if given is not None and plain:
        given.load_into(network)
    if spec.convert is not None:
        convert(
            network,
            build_conv(spec.convert.conv),
            spec.convert.where,
            kernel_size=spec.convert.kernel_size,
            every=spec.convert.every,
            start=spec.convert.start,
        )
    if given is not None and not plain:
        given.load_into(network)
    return network


@weights.start.register
def _(spec: zoo_spec.Zoo, network: nn.Module) -> None:
    """They were loaded where layers are converted."""


@initial_weights.register
def _(spec: zoo_spec.Zoo, network: nn.Module, seed: int) -> None:
    """Those of the library: read, or drawn under the seed as its authors do it.

    The network is built before layers are converted, and `convert` draws what it adds from the seed
    and the names, so that variants share the rest bit for bit.
    """
