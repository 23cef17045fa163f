"""Weights from files: what a network begins with."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SHOWN = 8
"""Tensors of each sort that an error lists."""
NESTED = ("state_dict", "model_state_dict", "model")
"""Where checkpoints hold their weights: Lightning's and ours, and those of training scripts."""
OWN_PREFIX = "network."
"""Of the network's tensors in a checkpoint of ours, which has others beside them."""
PREFIXES = ("module.", "_orig_mod.", "model.")
"""Of every tensor, where a network was wrapped: by DataParallel, by a compiler, by a trainer."""

COUNTER = "num_batches_tracked"
"""Last part of the names of the counters of batch norms, which files from before torch 0.4.1, such
as some of torchvision's, do not have."""

StateDict = Mapping[str, Tensor]


def download_weights(published: Any) -> StateDict:
    """Take weights of torchvision from its cache; those that are not there are downloaded once.

    Args:
        published: Such as `ResNet50_Weights.IMAGENET1K_V1`.

    Raises:
        OSError: Without a connection.
        RuntimeError: When they are damaged.
    """
    with redirect_stdout(sys.stderr):  # torch tells of downloads where commands print results
        return published.get_state_dict(progress=False, check_hash=True)


def read_weights(path: Path) -> StateDict:
    """Read the tensors of a network; code in a file is never run.

    Args:
        path: A checkpoint of awlab, of Lightning or of a training script, or a state dict, written
            by torch; or `.safetensors`.

    Raises:
        ValueError: When it cannot be read, or holds no weights.
    """
    try:
        if path.suffix == ".safetensors":
            found: Any = _safetensors().load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except ValueError:
        raise
    except Exception as error:  # Damage shows as any of a dozen.
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} cannot be read as weights: {reason}") from error
    for key in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    tensors = _tensors(found)
    if not tensors:
        raise ValueError(f"{path} holds no weights: expected tensors by name, or a checkpoint")
    return _without_prefix(tensors)


def load_weights(
    network: nn.Module, values: StateDict, *, fresh: Iterable[str] = (), of: object = "the file"
) -> None:
    """Give a network the values of a file, all or none of them.

    On the meta device, names and shapes are checked and nothing is copied. Counters of batch norms
    stay as they are when the file has none, as torch allows.

    Args:
        network: The network, or a part of it.
        values: By name.
        fresh: Globs over names of tensors; those are left as they are in the network, and left out
            of what the file must and may have.
        of: Whose values they are, for errors.

    Raises:
        ValueError: When a name or shape differs, or a glob matches nothing; it names the tensors.
    """
    globs = tuple(fresh)
    own = network.state_dict()
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in (*own, *values)):
            raise ValueError(f"weights.fresh: {glob!r} matches no tensor of {of} or the network")
    wanted = {name: tensor for name, tensor in own.items() if not _matches(name, globs)}
    given = {name: tensor for name, tensor in values.items() if not _matches(name, globs)}
    if not any(_counts(name) for name in given):
        wanted = {name: tensor for name, tensor in wanted.items() if not _counts(name)}
    _check(wanted, given, of)
    if not any(tensor.is_meta for tensor in own.values()):
        network.load_state_dict(given, strict=False)


def has_names_of(network: nn.Module, values: StateDict, fresh: Iterable[str] = ()) -> bool:
    """Whether every tensor of a file, but for fresh ones, has its name in the network."""
    globs = tuple(fresh)
    return {name for name in values if not _matches(name, globs)} <= network.state_dict().keys()


def _check(wanted: StateDict, given: StateDict, of: object) -> None:
    """Refuse whatever differs."""
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    sorts = {
        "other shapes": shapes,
        "missing": [name for name in wanted if name not in given],
        "not in the network": [name for name in given if name not in wanted],
    }
    found = [f"{sort}: {_listed(names)}" for sort, names in sorts.items() if names]
    if found:
        raise ValueError(
            f"the weights of {of} do not fit the network; {'; '.join(found)}. Tensors that are to "
            "begin anew, or to be left in the file, are named by weights.fresh, as in [fc.*]"
        )


def _matches(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _counts(name: str) -> bool:
    return name.rpartition(".")[2] == COUNTER


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _tensors(found: Any) -> dict[str, Tensor]:
    """Keep the tensors by name, if that is what was found."""
    if not isinstance(found, Mapping):
        return {}
    tensors = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    own = {name: value for name, value in tensors.items() if name.startswith(OWN_PREFIX)}
    return own or tensors


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in (OWN_PREFIX, *PREFIXES):
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ValueError(
            f"files of safetensors cannot be read ({error}): pip install 'awlab[zoo]'"
        ) from error
    return safetensors.torch
