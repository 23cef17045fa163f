"""What it has shown to build the networks of a study, kept for those who must not import torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version

from pydantic import TypeAdapter, ValidationError

from awlab.plan.runs import Cell, Plan
from awlab.record.run_directory import write_atomically
from awlab.record.study_directory import StudyDirectory

SAME_NETWORK = "builds the same network"


@dataclass(frozen=True)
class Network:
    """The network of a cell.

    Attributes:
        parameters: Trained numbers.
        gmacs: Billions of multiply-accumulates of one image.
        meaning: Equal for cells that build the same network and train it alike.
    """

    parameters: int
    gmacs: float
    meaning: str


_STORED = TypeAdapter(dict[str, Network])


def merge_equal(plan: Plan, networks: Mapping[str, Network]) -> Plan:
    """Let cells of one meaning share the runs of the one of them that is furthest.

    Args:
        plan: The study.
        networks: By cell, as far as they are known.
    """
    alike: dict[str, list[Cell]] = {}
    for cell in plan.cells:
        if cell.name in networks and cell.same_as is None:
            alike.setdefault(networks[cell.name].meaning, []).append(cell)
    same: dict[str, str] = {}
    for cells in alike.values():
        first = max(cells, key=_finished)
        same |= {cell.name: first.name for cell in cells if cell is not first}
    return plan.merge(same, SAME_NETWORK)


def remember(plan: Plan, networks: Mapping[str, Network]) -> None:
    """Keep the networks of a plan whose cells are not merged yet, in the folder of the study."""
    stored = {plan[name].runs[0].id: asdict(network) for name, network in networks.items()}
    document = {"awlab": version("awlab"), "networks": stored}
    file = StudyDirectory.of(plan.ablation).networks
    write_atomically(file, json.dumps(document, indent=1) + "\n")


def recall(plan: Plan) -> dict[str, Network]:
    """The networks, by cell, that are known from before.

    None, when the file is damaged or another version of awlab has built them.
    """
    try:
        document = json.loads(StudyDirectory.of(plan.ablation).networks.read_bytes())
        stored = _STORED.validate_python(document["networks"])
        if document["awlab"] != version("awlab"):
            return {}
    except (OSError, ValueError, TypeError, KeyError, ValidationError):
        return {}
    cells = {cell.name: cell.runs[0].id for cell in plan.cells if cell.runs}
    return {name: stored[identity] for name, identity in cells.items() if identity in stored}


def _finished(cell: Cell) -> int:
    return sum(run.state == "finished" for run in cell.runs)
