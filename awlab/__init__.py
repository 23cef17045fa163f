"""Run, ablate and explain attention modules in convolutional networks.

The names here are the declarative half: what to run, as data; and `convert`, which puts attention
into any network. They are imported when they are first used, so that `import awlab.nn` needs no
spec, and `import awlab` no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from awlab.models.convert import convert as convert
    from awlab.spec import Attention as Attention
    from awlab.spec import Conv as Conv
    from awlab.spec import Data as Data
    from awlab.spec import Experiment as Experiment
    from awlab.spec import Family as Family
    from awlab.spec import Model as Model
    from awlab.spec import Optimizer as Optimizer
    from awlab.spec import Schedule as Schedule
    from awlab.spec import Spec as Spec
    from awlab.spec.ablation import Ablation as Ablation
    from awlab.spec.errors import Problem as Problem
    from awlab.spec.errors import SpecError as SpecError
    from awlab.spec.load import dump as dump
    from awlab.spec.load import load_experiment as load_experiment
    from awlab.spec.schema import json_schema as json_schema

_HOME = {
    "Ablation": "awlab.spec.ablation",
    "Attention": "awlab.spec.attention",
    "Conv": "awlab.spec.conv",
    "Data": "awlab.spec.data",
    "Experiment": "awlab.spec.experiment",
    "Family": "awlab.spec.base",
    "Model": "awlab.spec.model",
    "Optimizer": "awlab.spec.training",
    "Problem": "awlab.spec.errors",
    "Schedule": "awlab.spec.training",
    "Spec": "awlab.spec.base",
    "SpecError": "awlab.spec.errors",
    "convert": "awlab.models.convert",
    "dump": "awlab.spec.load",
    "json_schema": "awlab.spec.schema",
    "load_experiment": "awlab.spec.load",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'awlab' has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
