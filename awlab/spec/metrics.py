"""What tasks are measured by: names, words, and which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Task = Literal["classification", "detection"]
"""What a network is trained to do, and data are annotated for."""
Direction = Literal["min", "max"]
"""Whether less or more is better."""


@dataclass(frozen=True)
class Measure:
    """What a metric means; all of these are percent.

    Attributes:
        words: For people.
        direction: Whether less or more is better.
        task: What it is a metric of.
    """

    words: str
    direction: Direction
    task: Task


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "top1_error": Measure("top-1 error", "min", "classification"),
        "top5_error": Measure("top-5 error", "min", "classification"),
        "map": Measure("AP", "max", "detection"),
        "map_50": Measure("AP50", "max", "detection"),
        "map_75": Measure("AP75", "max", "detection"),
        "map_50_voc07": Measure("VOC2007 mAP", "max", "detection"),
        "map_50_voc12": Measure("VOC2012 mAP", "max", "detection"),
    }
)
"""By name without the split, as in `test/map`. AP is COCO's: the mean over ten overlaps from 0.50
to 0.95; AP50 and AP75 are those at one overlap. VOC's are at an overlap of 0.50, with the rules of
the challenges of 2007 (eleven recalls) and of 2012 (the area under the curve)."""
DECIDING: Mapping[Task, str] = MappingProxyType(
    {"classification": "top1_error", "detection": "map"}
)
"""The metric by which the best epoch is chosen; the one that stands for a run."""


def measure_of(metric: str) -> Measure | None:
    """What a metric such as `test/map` means; None of one that we do not know."""
    return MEASURES.get(metric.partition("/")[2])


def is_percent(metric: str) -> bool:
    """Whether a metric is in percent, and a difference in percentage points."""
    return metric.endswith("_error") or measure_of(metric) is not None


def deciding_metric(metrics: Mapping[str, float], split: str) -> str:
    """Full name of the metric that decides, of those that a run recorded of a split."""
    names = (f"{split}/{name}" for name in DECIDING.values())
    return next(name for name in names if name in metrics)


def improves_on(value: float, other: float, metric: str) -> bool:
    """Whether a value of a metric is better than another one."""
    measure = measure_of(metric)
    return value > other if measure is not None and measure.direction == "max" else value < other
