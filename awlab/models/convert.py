"""Put other convolutions in the place of those of any network, which keeps its weights."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn

from awlab.models.initialise import initialise
from awlab.nn import AWConv2d
from awlab.nn.aw_conv import F2, UNTRAINED_MAP
from awlab.nn.location import inside

SHOWN = 20
"""Convolutions that an error lists."""


def convert(
    model: nn.Module,
    conv: Callable[..., nn.Module],
    where: str = "*",
    *,
    kernel_size: int | None = None,
    every: int = 1,
    start: str = "paper",
    seed: int | None = None,
) -> list[str]:
    """Replace convolutions of a network, in place, by those that `conv` makes.

    A new layer takes over the very parameters `weight` and `bias` of the old one, with their names,
    so that frozen ones stay frozen. Load pretrained weights before. Only layers whose class is
    `torch.nn.Conv2d` itself are replaced: a subclass computes something else. Hooks of a replaced
    layer are lost.

    Args:
        model: Any network.
        conv: Called like `torch.nn.Conv2d`, with `dilation`, `groups` and `padding_mode` only where
            they are not the default: `AWConv2d`, or a `functools.partial` of it.
        where: Glob over dotted names, as in `layer[34].*.conv2`; `*` matches dots, too.
        kernel_size: Of those, the ones with square kernels of this size.
        every: Of those, every so manyth, beginning with the first: 2 is every second.
        start: "paper": weights are kept and attention begins at random, so that AK is about 1.5 K
            (`f2="residual"`) or K / 2 ("product"). "identity": the network computes what it did, in
            training and in evaluation, up to the rounding of one factor (see `constant_gate`).
        seed: Of what the new layers add, together with their names; torch's initial seed if None.

    Returns:
        Dotted names of the replaced layers, in the order of the network.

    Raises:
        ValueError: When nothing matches, when `conv` refuses a layer, or when it makes layers that
            cannot take over the weights or cannot start as asked. The network is then unchanged.
    """
    if start not in ("paper", "identity"):
        raise ValueError(f"start (={start!r}) must be one of paper, identity")
    old = _matching(model, where, kernel_size, every)
    drawn_from = torch.initial_seed() if seed is None else seed
    new: dict[str, nn.Module] = {}
    gates: dict[Tensor, float] = {}  # by weight: two layers may share one
    for name, layer in old.items():
        with inside(name):
            new[name] = _made_like(layer, conv)
            initialise(new[name], drawn_from, prefix=name)
            if start == "identity":
                gates[layer.weight] = constant_gate(new[name])
    for name, layer in old.items():
        _take_over(layer, new[name])
    _replace(model, {layer: new[name] for name, layer in old.items()})
    with torch.no_grad():
        for weight, gate in gates.items():
            weight.div_(gate)
    return list(old)


@singledispatch
def constant_gate(layer: nn.Module) -> float:
    """Let the attention of a layer begin as one constant for all inputs, and return its gate.

    With weights divided by that gate, the layer is an ordinary convolution until attention has
    learned. Register a class of yours to start it from pretrained weights.

    Raises:
        ValueError: When nobody has registered how.
    """
    raise ValueError(
        f"start 'identity' is not known for {type(layer).__name__}: register a function for it "
        "with constant_gate.register, of awlab.models.convert, or take start 'paper'"
    )


@constant_gate.register
def _(layer: AWConv2d) -> float:
    """The last norm begins as zero, so that A = sigmoid(0) = 1/2 whatever the batch.

    That is where a sigmoid learns fastest. A bias so negative that A vanishes would also keep the
    function, with K as it is, but would take all gradient from the attention. With f2 "product",
    the gate is 1/2 and everything bit-equal; with "residual", it is 3/2 and K is rounded once.
    """
    norms = (nn.BatchNorm2d, nn.GroupNorm)
    *_, norm = (norm for norm in layer.attention if isinstance(norm, norms))
    nn.init.zeros_(norm.weight)
    nn.init.zeros_(norm.bias)
    return float(F2[layer.f2](torch.tensor(UNTRAINED_MAP, device="cpu")))


def _matching(
    model: nn.Module, where: str, kernel_size: int | None, every: int
) -> dict[str, nn.Conv2d]:
    """Return the ordinary convolutions that are meant, by dotted name."""
    if every < 1:
        raise ValueError(f"every (={every}) must be at least 1")
    candidates = _ordinary_convolutions(model)
    if not candidates:
        raise ValueError("the network has no convolution to convert, no layer is a torch.nn.Conv2d")
    found = {
        name: layer
        for name, layer in candidates.items()
        if fnmatchcase(name, where)
        and (kernel_size is None or layer.kernel_size == (kernel_size, kernel_size))
    }
    if not found:
        of_size = "" if kernel_size is None else f" of kernel size {kernel_size}"
        listed = [f"{name} ({_size(layer)})" for name, layer in candidates.items()]
        more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        raise ValueError(
            f"where (={where!r}) matches no convolution{of_size}; there are "
            f"{', '.join(listed[:SHOWN])}{more}"
        )
    return dict(list(found.items())[::every])


def _ordinary_convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the layers that are `torch.nn.Conv2d` itself, without those inside another."""
    found: dict[str, nn.Conv2d] = {}
    if isinstance(model, nn.Conv2d):
        return found
    convolutions: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and not name.startswith(convolutions):
            convolutions += (f"{name}.",)
            if type(module) is nn.Conv2d:
                found[name] = module
    return found


def _made_like(layer: nn.Conv2d, conv: Callable[..., nn.Module]) -> nn.Module:
    """Make a layer of the same geometry that can take over the weights.

    On the CPU, where initial weights are drawn, or on the meta device.
    """
    rare: dict[str, Any] = {
        "dilation": (layer.dilation, (1, 1)),
        "groups": (layer.groups, 1),
        "padding_mode": (layer.padding_mode, "zeros"),
    }
    device = torch.device("meta" if layer.weight.is_meta else "cpu")
    with device, torch.random.fork_rng(devices=[]):
        new = conv(
            layer.in_channels,
            layer.out_channels,
            _plain(layer.kernel_size),
            stride=_plain(layer.stride),
            padding=_plain(layer.padding),
            bias=layer.bias is not None,
            **{name: value for name, (value, default) in rare.items() if value != default},
        )
    own = dict(new.named_parameters(recurse=False))
    for name, values in layer.state_dict().items():
        if name not in own or own[name].shape != values.shape:
            raise ValueError(
                f"{type(new).__name__} cannot take over {name!r} of shape {tuple(values.shape)}: "
                f"it has {', '.join(f'{n!r} {tuple(v.shape)}' for n, v in own.items()) or 'none'}"
            )
    return new


def _plain(sizes: str | tuple[int, ...]) -> str | int | tuple[int, ...]:
    """Return one number for two equal ones: that is how networks call what makes convolutions."""
    return sizes[0] if isinstance(sizes, tuple) and len(set(sizes)) == 1 else sizes


def _take_over(old: nn.Conv2d, new: nn.Module) -> None:
    new.to(old.weight.device, old.weight.dtype).train(old.training)
    for name, parameter in old.named_parameters(recurse=False):
        setattr(new, name, parameter)


def _replace(model: nn.Module, layers: Mapping[nn.Module, nn.Module]) -> None:
    """Put new layers in every place that old ones have: a network may use one twice."""
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in layers:
            model.set_submodule(name, layers[module])


def _size(layer: nn.Conv2d) -> str:
    return "x".join(map(str, layer.kernel_size))
