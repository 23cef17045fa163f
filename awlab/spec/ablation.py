"""The spec of a study: one base experiment, what is varied in it, and over which seeds."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from awlab.spec.base import Name, Spec
from awlab.spec.experiment import NOT_IDENTITY, Experiment, Paper
from awlab.spec.metrics import Direction, measure_of

ROOT = "."
"""The path of the experiment itself."""
VARIED = tuple(name for name in Experiment.model_fields if name not in {*NOT_IDENTITY, "seed"})
"""The nodes of an experiment that axes vary: those that can change a result."""
MOST_SEEDS = 1000
Seed = Annotated[int, Field(ge=0, lt=2**63)]

LABEL = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,47}$"


def label_of(value: Any) -> str:
    """A short name of a value: `residual`, `none`, `c1-full+h-2`, `aw+f2-product`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{'minus' if value < 0 else ''}{abs(value)}"
    if isinstance(value, Mapping):
        return "+".join(map(_item_label, cast("Mapping[Any, Any]", value).items())) or "empty"
    if isinstance(value, list | tuple):
        return "+".join(map(label_of, cast("Iterable[Any]", value))) or "empty"
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", str(value)).strip("-._+") or "empty"


def _item_label(item: tuple[Any, Any]) -> str:
    key, value = item
    return label_of(value) if key == "kind" else f"{label_of(key)}-{label_of(value)}"


def _as_label(value: Any) -> Any:
    """`16` and `null` may be written as they stand among the values of the axis."""
    return label_of(value) if value is None or isinstance(value, bool | int | float) else value


def _as_tuple(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else (value,)


_Written = str | int | float | bool | None
Label = Annotated[
    str, BeforeValidator(_as_label, json_schema_input_type=_Written), Field(pattern=LABEL)
]
"""Names a value of an axis; a part of folder names and of W&B tags."""


def _as_cell_name(value: Any) -> Any:
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return ",".join(f"{axis}={_as_label(label)}" for axis, label in items)
    value = _as_label(value)
    if not isinstance(value, str):
        raise ValueError("expected a cell: a mapping of axis to label, or the only axis's label")  # noqa: TRY004
    return value


CellName = Annotated[
    str,
    BeforeValidator(_as_cell_name, json_schema_input_type=_Written | dict[str, _Written]),
]
"""A cell: a mapping of axis to label, or the text `axis=label,axis=label`; of a study with one
axis, its label alone."""


class Axis(Spec):
    """One varied node of the base experiment."""

    path: str
    """Names from the experiment down to the node, as in `model.conv.expand`. `.` is the experiment
    itself: each value is then a mapping that replaces the same ones of `model`, `data`,
    `training`."""
    values: list[Any] | dict[str, Any]
    """What stands at `path`, in turn: a list, or a mapping of label to value. A value replaces the
    whole node."""

    @field_validator("path")
    @classmethod
    def _path_can_change_results(cls, path: str) -> str:
        top = path.split(".")[0]
        if path != ROOT and not all(path.split(".")):
            raise ValueError(f"expected names joined by dots, as in model.conv.f2, not {path!r}")
        if top == "seed":
            raise ValueError("the seeds of a study stand under 'seeds', not on an axis")
        if top in NOT_IDENTITY:
            raise ValueError(
                f"{top!r} cannot change a result, so that its values would all mean the same run; "
                f"vary one of {', '.join(VARIED)}"
            )
        return path

    @field_validator("values", mode="before")
    @classmethod
    def _values_are_several(cls, values: Any) -> Any:
        if not isinstance(values, list | dict):
            raise ValueError("expected a list of values or a mapping of label to value")  # noqa: TRY004
        if not values:
            raise ValueError("an axis needs at least one value")
        return cast("list[Any] | dict[str, Any]", values)

    @field_validator("values")
    @classmethod
    def _labels_differ(cls, values: list[Any] | dict[str, Any]) -> list[Any] | dict[str, Any]:
        labels = list(values) if isinstance(values, dict) else [label_of(v) for v in values]
        for label in labels:
            if not re.fullmatch(LABEL, label):
                raise ValueError(
                    f"label {label!r} must be 1 to 48 letters, digits and . _ + - and begin with a "
                    "letter or a digit; a mapping of label to value names values freely"
                )
        twice = [label for label, n in Counter(map(str.lower, labels)).items() if n > 1]
        if twice:
            raise ValueError(
                f"two values have the label {twice[0]!r} (upper and lower case are the same); a "
                "mapping of label to value tells them apart"
            )
        return values

    @model_validator(mode="after")
    def _root_values_replace_the_same(self) -> "Axis":
        if self.path != ROOT:
            return self
        for label, value in self.labelled.items():
            nodes = set(cast("dict[str, Any]", value)) if isinstance(value, dict) else set[str]()
            if not nodes or not nodes <= set(VARIED):
                allowed = ", ".join(VARIED)
                raise ValueError(
                    f"path '.': value {label!r} must be a mapping of some of {allowed}"
                )
            if nodes != {name for name, *_ in self.paths}:
                raise ValueError(
                    f"path '.': value {label!r} replaces {', '.join(sorted(nodes))}; all values "
                    "must replace the same nodes as the first"
                )
        return self

    @property
    def labelled(self) -> dict[str, Any]:
        """The values by their labels."""
        if isinstance(self.values, dict):
            return self.values
        return {label_of(value): value for value in self.values}

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """The nodes that the values replace, each as names from the experiment down."""
        if self.path == ROOT:
            return tuple((name,) for name in next(iter(self.labelled.values())))
        return (tuple(self.path.split(".")),)


class Exclusion(Spec):
    """Cells that make no sense, and why."""

    when: dict[
        Name,
        Annotated[
            tuple[Label, ...],
            BeforeValidator(_as_tuple, json_schema_input_type=_Written | list[_Written]),
        ],
    ]
    """Axis to a label or a list of labels; a cell is excluded where all axes named agree."""
    reason: str = Field(min_length=1)
    """Shown beside the cell in the plan."""

    @field_validator("when")
    @classmethod
    def _when_names_an_axis(cls, when: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if not when:
            raise ValueError("names no axis, and would exclude every cell")
        return when


class Metric(Spec):
    """What decides between cells."""

    name: str = Field(default="test/top1_error", pattern=r"^(val|test)/[a-z0-9_]+$")
    """As a run records it."""
    direction: Direction = "min"
    """Whether less or more is better; left out, as the name says: more of `test/map`."""

    @model_validator(mode="before")
    @classmethod
    def _direction_is_that_of_the_name(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        fields = cast("Mapping[str, Any]", data)
        measure = measure_of(str(fields.get("name")))
        if measure is None or "direction" in fields:
            return fields
        return {**fields, "direction": measure.direction}

    @model_validator(mode="after")
    def _direction_is_not_the_wrong_one(self) -> "Metric":
        measure = measure_of(self.name)
        if measure is not None and measure.direction != self.direction:
            raise ValueError(
                f"direction (={self.direction!r}) is the wrong one: {measure.words} is better when "
                f"it is {'less' if measure.direction == 'min' else 'more'}; leave it out"
            )
        return self


class Resources(Spec):
    """What a run of the study needs."""

    devices_per_run: int = Field(default=1, ge=1)
    """Devices that a run trains on together."""
    runs_per_device: int = Field(default=1, ge=1)
    """Runs that share a device."""
    retries: int = Field(default=1, ge=0)
    """Times that a run is started again after it was killed."""
    stalled_minutes: float | None = Field(default=None, gt=0)
    """Minutes without a row of metrics, a line of the log or a checkpoint after which a run is
    killed, with the stacks of its threads in its log, and tried again; `null` for never."""

    @model_validator(mode="after")
    def _whole_or_shared(self) -> "Resources":
        if self.devices_per_run > 1 and self.runs_per_device > 1:
            raise ValueError(
                f"devices_per_run (={self.devices_per_run}) and runs_per_device "
                f"(={self.runs_per_device}) cannot both be more than 1"
            )
        return self


def _kind_of_base(base: Any) -> str:
    return "path" if isinstance(base, str) else "experiment"


class Ablation(Spec):
    """A study: the cells that its axes span, each run with every seed, against one baseline."""

    name: Name
    """Begins the names of its runs; W&B's group."""
    base: Annotated[
        Annotated[str, Field(min_length=1), Tag("path")] | Annotated[Experiment, Tag("experiment")],
        Discriminator(_kind_of_base),
    ]
    """What is varied: an experiment file, relative to the folder of this one, or an experiment."""
    axes: dict[Name, Axis]
    """Name to varied node. Two knobs that move together are one axis at their common parent."""
    design: Literal["full_factorial", "one_factor_at_a_time", "leave_one_out", "list"] = (
        "full_factorial"
    )
    """Which cells: all combinations; the baseline and each other value alone; the baseline and each
    axis alone at its second value, with two values per axis; those under `include` alone."""
    include: Annotated[tuple[CellName, ...], Field(strict=False)] = ()
    """More cells; an axis left out stands as in the baseline."""
    exclude: Annotated[tuple[Exclusion, ...], Field(strict=False)] = ()
    """Cells that are not run."""
    baseline: CellName
    """The cell that the others are compared with."""
    other_baselines: dict[
        str, Annotated[tuple[CellName, ...], Field(strict=False, min_length=1)]
    ] = Field(default_factory=dict[str, tuple[CellName, ...]])
    """Where a study has several families: another cell, to those that are compared with it instead.
    A cell is the label of the only axis, or `axis=label,axis=label`."""
    seeds: int | Annotated[tuple[Seed, ...], Field(strict=False)] = 5
    """How many, counted from 0, or which. All cells share them, so that they are paired."""
    metric: Metric = Metric()
    """What decides between cells."""
    paper: dict[str, Paper] = Field(default_factory=dict[str, Paper])
    """Cell to the published result it is set beside: the label of the only axis, or
    `axis=label,axis=label`."""
    resources: Resources = Resources()
    """What a run needs."""

    @field_validator("axes")
    @classmethod
    def _axes_are_some(cls, axes: dict[str, Axis]) -> dict[str, Axis]:
        if not axes:
            raise ValueError("an ablation needs at least one axis")
        return axes

    @field_validator("seeds")
    @classmethod
    def _seeds_are_distinct(cls, seeds: int | tuple[int, ...]) -> int | tuple[int, ...]:
        count = seeds if isinstance(seeds, int) else len(seeds)
        if not 1 <= count <= MOST_SEEDS:
            raise ValueError(f"a study needs 1 to {MOST_SEEDS} seeds, not {count}")
        if isinstance(seeds, tuple) and len(set(seeds)) < count:
            raise ValueError(f"seeds must differ, not {list(seeds)}")
        return seeds

    @property
    def seed_values(self) -> tuple[int, ...]:
        """The seeds, listed."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds
