"""The JSON Schema of what a YAML file may hold: editors complete and check by it."""

from typing import Any, Literal

from awlab.spec.ablation import Ablation
from awlab.spec.base import Spec
from awlab.spec.experiment import Experiment

_SPECS: dict[str, type[Spec]] = {"experiment": Experiment, "ablation": Ablation}


def json_schema(kind: Literal["experiment", "ablation"]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an experiment or an ablation.

    The kinds that plugins have added so far are part of it.
    """
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **_SPECS[kind].model_json_schema()}
