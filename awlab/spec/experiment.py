"""The spec of one training run."""

import hashlib
import json
from typing import Annotated

from pydantic import Field, model_validator

from awlab.spec.base import Family, ModuleName, Name, Spec
from awlab.spec.data import Data
from awlab.spec.metrics import Task
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
    map: float | None = None
    """Percent: COCO's AP."""
    map_50: float | None = None
    """Percent."""
    map_75: float | None = None
    """Percent."""
    map_50_voc07: float | None = None
    """Percent: the mAP of VOC 2007."""
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

    @model_validator(mode="after")
    def _network_and_data_are_of_one_task(self) -> "Experiment":
        task = self.data.task
        if self.model.task != task:
            fit = [kind for kind, member in Model.members.items() if _task_of(member) == task]
            raise ValueError(
                f"model {vars(self.model)['kind']} is for {self.model.task}, data "
                f"{vars(self.data)['kind']} are for {task}; models for {task} are "
                f"{', '.join(sorted(fit))}"
            )
        return self

    @model_validator(mode="after")
    def _labels_are_smoothed_somewhere(self) -> "Experiment":
        smoothing = self.training.label_smoothing
        if smoothing and self.model.task == "detection":
            raise ValueError(
                f"training.label_smoothing (={smoothing}) would be ignored: detectors bring losses "
                "of their own"
            )
        return self

    @model_validator(mode="after")
    def _what_is_compiled_has_one_shape(self) -> "Experiment":
        if self.runtime.compile and self.model.task == "detection":
            raise ValueError(
                "runtime.compile (=true) is for classifiers: in a detector, the number of boxes "
                "differs from step to step, and with it what would be compiled"
            )
        return self

    @property
    def id(self) -> str:
        """Ten hexadecimal digits: equal for two experiments exactly when they mean the same run.

        All fields with their defaults are hashed, except `name`, `plugins`, `paper`, `runtime`; of
        a file of weights the content, and not the name.
        """
        meaning = self.model_dump(mode="json", exclude=set(NOT_IDENTITY))
        del meaning["model"]["weights"]
        if self.model.weights is not None:
            meaning["model"]["weights"] = self.model.weights.meaning
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def _task_of(member: type[Family]) -> Task:
    assert issubclass(member, Model)
    return member.task
