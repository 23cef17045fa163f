"""Build every cell of a plan on the meta device, before an hour is spent on any."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from awlab import build
from awlab.complexity import Profile, empty_image, evaluate, profile_network
from awlab.fingerprint import fingerprint
from awlab.plan import Cell, Plan
from awlab.plan.networks import Network, merge_equal
from awlab.spec.errors import InputError, Problem, SpecError
from awlab.spec.experiment import NOT_IDENTITY, Experiment


@dataclass(frozen=True)
class Preflight:
    """A plan whose cells were built.

    Attributes:
        plan: Cells that build the same network and train it alike share their runs.
        profiles: Parameters and MACs by cell; excluded cells have none.
        networks: What of them can be kept and sent to other processes.
    """

    plan: Plan
    profiles: Mapping[str, Profile]
    networks: Mapping[str, Network]


@dataclass(frozen=True)
class _Built:
    profile: Profile
    fingerprint: str | None


def preflight(plan: Plan) -> Preflight:
    """Build the network of every cell, let a training batch through, and find the equal ones.

    On the meta device: nothing is computed, and no GPU is touched.

    Raises:
        SpecError: With every cell whose network cannot be built or trained, and why.
    """
    built = _build([cell for cell in plan.cells if cell.excluded is None])
    networks = {name: _network(plan[name], one) for name, one in built.items()}
    profiles = {name: one.profile for name, one in built.items()}
    return Preflight(merge_equal(plan, networks), profiles, networks)


def build_networks(plan: Plan) -> dict[str, Network]:
    """The networks of a plan, for a process that must not import torch: see `preflight`."""
    return dict(preflight(plan).networks)


def _build(cells: Iterable[Cell]) -> dict[str, _Built]:
    """Build the networks; those that are described in the same words only once."""
    built: dict[str, _Built] = {}
    known: dict[tuple[str, int], _Built | str] = {}
    wrong: dict[str, list[str]] = {}
    for cell in cells:
        experiment = cell.runs[0].experiment
        words = _words(experiment, without={"seed", "training"})
        batch = experiment.training.batch_size
        if (words, batch) not in known:
            known[words, batch] = _attempt(experiment)
        found = known[words, batch]
        if isinstance(found, _Built):
            built[cell.name] = found
        else:
            wrong.setdefault(found, []).append(cell.name)
    if wrong:
        raise SpecError([_problem(reason, names) for reason, names in wrong.items()])
    return built


def _attempt(experiment: Experiment) -> _Built | str:
    """Build and try a network, or say why that fails."""
    try:
        return _built(experiment, "meta", experiment.training.batch_size)
    except ValueError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 a plugin may need values, which the meta device has not
        on_meta = error
    try:
        return _built(experiment, "cpu", 2)
    except Exception as error:  # noqa: BLE001 a plugin may raise anything
        reasons = dict.fromkeys(f"{type(e).__name__}: {e}" for e in (error, on_meta))
        return f"model: {'; on the meta device: '.join(reasons)}"


def _built(experiment: Experiment, device: str, batch: int) -> _Built:
    with torch.device(device), torch.no_grad():
        network = build.network(experiment)
        image = torch.zeros_like(empty_image(experiment))
        profile = profile_network(network, image)
        logits = evaluate(network.train(), image.expand(batch, -1, -1, -1))
    expected = (batch, experiment.data.num_classes)
    if logits is not None and logits.shape != expected:
        raise InputError(
            f"model: the output for {batch} images has shape {tuple(logits.shape)}, expected "
            f"{expected}"
        )
    return _Built(profile, fingerprint(network))


def _network(cell: Cell, built: _Built) -> Network:
    total = built.profile.total
    meaning = hashlib.sha256(_meaning(cell, built.fingerprint).encode()).hexdigest()
    return Network(total.parameters, total.macs / 1e9, meaning)


def _meaning(cell: Cell, structure: str | None) -> str:
    """Equal for cells that build the same network and train it alike."""
    experiment = cell.runs[0].experiment
    if structure is None:
        return _words(experiment)
    beginning = json.dumps(experiment.model.beginning, sort_keys=True)
    return structure + beginning + _words(experiment, without={"model"})


def _words(experiment: Experiment, without: Iterable[str] = ()) -> str:
    meaning = experiment.model_dump(mode="json", exclude={*NOT_IDENTITY, *without})
    return json.dumps(meaning, sort_keys=True)


def _problem(reason: str, cells: list[str]) -> Problem:
    more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    return Problem("axes", f"{reason} (cell {cells[0]}{more})")
