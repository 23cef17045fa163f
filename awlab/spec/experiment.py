"""The spec of one training run."""

import hashlib
import json
from typing import Annotated

from pydantic import Field

from awlab.spec.base import ModuleName, Name, Spec
from awlab.spec.data import Data
from awlab.spec.model import Model
from awlab.spec.runtime import Runtime
from awlab.spec.training import Training

NOT_IDENTITY = frozenset({"name", "plugins", "paper", "runtime"})


class Paper(Spec):
    """A row of a published table, in the units it prints."""

    source: str
    """Where it stands: paper, table, row."""
    top1_error: float | None = None
    """Percent."""
    top5_error: float | None = None
    """Percent."""
    parameters_m: float | None = None
    """Millions."""
    gmacs: float | None = None
    """Billions of multiply-accumulates: what the paper calls GFLOPs."""
    note: str | None = None
    """Why ours cannot or need not agree."""


class Experiment(Spec):
    """One training run: a network, data, a recipe and a seed."""

    name: Name
    """Begins the name of the run directory."""
    plugins: Annotated[tuple[ModuleName, ...], Field(strict=False)] = ()
    """Python modules that are imported first: they add kinds."""
    model: Model
    """The network."""
    data: Data
    """What it learns from."""
    training: Training
    """How it learns."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of initial weights, order, augmentation and dropout."""
    paper: Paper | None = None
    """The published result that this run is set beside."""
    runtime: Runtime = Runtime()
    """Where and how it is executed."""

    @property
    def id(self) -> str:
        """Ten hexadecimal digits: equal for two experiments exactly when they mean the same run.

        All fields with their defaults are hashed, except `name`, `plugins`, `paper`, `runtime`.
        """
        meaning = self.model_dump(mode="json", exclude=set(NOT_IDENTITY))
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]
