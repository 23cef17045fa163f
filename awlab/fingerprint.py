"""Tell whether two networks are the same: in what they compute, and in how they start."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial, singledispatch
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import nn

from awlab.nn import AWConv2d

TRUSTED = frozenset({"torch", "torchvision", "awlab"})
"""Packages whose modules keep all that decides how they compute and start as attributes."""

PARTS_OF_DETECTORS = "torchvision.models.detection."
"""Package whose objects that are no modules, such as coders of boxes, are their attributes."""
MOST_NUMBERS = 1000
"""In a tensor that is an attribute."""

_OF_EVERY_MODULE = vars(nn.Module())
_MEMBERS = frozenset({"_parameters", "_buffers", "_modules"})


class _UnknownError(Exception):
    """Something about a network cannot be described."""


def fingerprint(network: nn.Module) -> str | None:
    """Digest of the structure of a network, which may be on the meta device.

    Networks of one digest have modules of the same classes and settings under the same names, and
    tensors of the same shapes: initialised under one seed and trained alike, they stay equal.

    Returns:
        Hexadecimal digits; None when a part cannot be described, such as a module from elsewhere
        for which `SETTINGS` has no entry.
    """
    try:
        parts = [*_modules(network), *_tensors(network)]
    except _UnknownError:
        return None
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def attributes(module: nn.Module) -> dict[str, Any]:
    """The attributes that a module sets, without the modules and tensors that it holds."""
    untouched = object()
    return {
        name: value
        for name, value in vars(module).items()
        if name not in _MEMBERS and value != _OF_EVERY_MODULE.get(name, untouched)
    }


def _aw_conv2d(module: AWConv2d) -> dict[str, Any]:
    """How `expand` and `reduction` are written means nothing beside the sizes they lead to."""
    settings = attributes(module)
    del settings["reduction"]
    return settings | {"expand": module.expand.get("n")}


SETTINGS: dict[type[nn.Module], Callable[[Any], Mapping[str, Any]]] = {AWConv2d: _aw_conv2d}
"""What decides how modules of exactly this class compute and start, beside what they hold. A class
from elsewhere that keeps all of it as attributes is entered with `attributes`."""


def _modules(network: nn.Module) -> Iterator[Any]:
    first: dict[nn.Module, str] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        kind = type(module)
        if kind not in SETTINGS and kind.__module__.partition(".")[0] not in TRUSTED:
            raise _UnknownError(kind)
        settings = SETTINGS.get(kind, attributes)(module)
        yield [name, first.setdefault(module, name), _describe(kind), _describe(settings)]


def _tensors(network: nn.Module) -> Iterator[Any]:
    first: dict[torch.Tensor, str] = {}
    for tensors in (network.named_parameters, network.named_buffers):
        for name, tensor in tensors(remove_duplicate=False):
            known = first.setdefault(tensor, name)
            yield [name, known, [*tensor.shape], str(tensor.dtype), tensor.requires_grad]


@singledispatch
def _describe(value: Any) -> Any:
    """Turn a value into lists and texts that are equal only for equal values."""
    if type(value).__module__.startswith(PARTS_OF_DETECTORS):
        return ["object", _describe(type(value)), _describe(vars(value))]
    if not isinstance(value, bool | int | float | str | torch.dtype | None):
        raise _UnknownError(value)
    return [type(value).__name__, repr(value)]


@_describe.register(type)
@_describe.register(FunctionType)
@_describe.register(BuiltinFunctionType)
def _(value: Any) -> Any:
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    if found is not value:
        raise _UnknownError(value)
    return [value.__module__, value.__qualname__]


@_describe.register
def _(value: torch.Tensor) -> Any:
    if value.is_meta or value.numel() > MOST_NUMBERS:
        raise _UnknownError(value)
    return ["tensor", str(value.dtype), [*value.shape], value.tolist()]


@_describe.register
def _(value: partial) -> Any:
    return ["partial", *map(_describe, (value.func, value.args, value.keywords))]


@_describe.register(tuple)
@_describe.register(list)
def _(value: Any) -> Any:
    return [type(value).__name__, *map(_describe, value)]


@_describe.register(dict)
def _(value: Any) -> Any:
    return ["dict", *([_describe(key), _describe(value[key])] for key in value)]
