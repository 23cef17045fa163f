"""Main effects of a full factorial: what a factor does on average over the other factors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from awlab.statistics.comparison import CellSummary, Comparison
from awlab.statistics.significance import Paired, pair

Levels = Mapping[str, str]


@dataclass(frozen=True)
class Effect:
    """A level of a factor minus the baseline's level.

    Attributes:
        factor: What is varied.
        level: Its level.
        reference: The baseline's level of it.
        paired: One difference per seed, each the mean over all combinations of the other factors.
            The seed is the unit, because cells that share a seed are not independent. The p-values
            are not adjusted. None where a run is missing.
        missing: What is missing: names of cells that lack a seed, and combinations without a cell.
    """

    factor: str
    level: str
    reference: str
    paired: Paired | None
    missing: tuple[str, ...]


def main_effects(comparison: Comparison, factors: Mapping[str, Levels]) -> tuple[Effect, ...]:
    """Effects of all levels of all factors, each against the level that the baseline has.

    Args:
        comparison: Of the cells of the factorial, and perhaps of others.
        factors: The levels of each cell of the factorial: level by factor, by name of the cell.

    Raises:
        ValueError: When the baseline is not in `factors`, a cell is not in `comparison`, or two
            cells have the same levels or different factors.
    """
    cells = _by_levels(comparison, factors)
    reference = factors[comparison.baseline]
    levels = {
        factor: list(dict.fromkeys(of_cell[factor] for of_cell in factors.values()))
        for factor in reference
    }
    return tuple(
        _effect(comparison, cells, levels, factor, level, reference[factor])
        for factor in levels
        for level in levels[factor]
        if level != reference[factor]
    )


def _by_levels(
    comparison: Comparison, factors: Mapping[str, Levels]
) -> dict[tuple[str, ...], CellSummary]:
    if comparison.baseline not in factors:
        raise ValueError(f"the baseline {comparison.baseline!r} must be a cell of the factorial")
    names = list(factors[comparison.baseline])
    known = {cell.name: cell for cell in comparison.cells}
    cells: dict[tuple[str, ...], CellSummary] = {}
    for name, levels in factors.items():
        if name not in known:
            raise ValueError(f"cell {name!r} is not one of {list(known)}")
        if levels.keys() != set(names):
            raise ValueError(f"cell {name!r} has the factors {list(levels)}, the baseline {names}")
        key = tuple(levels[factor] for factor in names)
        if key in cells:
            raise ValueError(f"cells {cells[key].name!r} and {name!r} have the same levels {key}")
        cells[key] = known[name]
    return cells


def _effect(
    comparison: Comparison,
    cells: Mapping[tuple[str, ...], CellSummary],
    levels: Mapping[str, list[str]],
    factor: str,
    level: str,
    reference: str,
) -> Effect:
    def combinations(chosen: str) -> list[tuple[str, ...]]:
        return list(product(*({**levels, factor: [chosen]}).values()))

    def means(chosen: str) -> dict[int, float]:
        of = [cells[key].by_seed for key in combinations(chosen)]
        return {seed: float(np.mean([values[seed] for values in of])) for seed in comparison.seeds}

    missing = tuple(
        cells[key].name if key in cells else _spell(levels, key)
        for key in combinations(level) + combinations(reference)
        if key not in cells or cells[key].missing
    )
    paired = None
    if not missing:
        paired = pair(means(level), means(reference), confidence=comparison.confidence)
    return Effect(factor, level, reference, paired, missing)


def _spell(factors: Iterable[str], levels: tuple[str, ...]) -> str:
    return ",".join(f"{factor}={level}" for factor, level in zip(factors, levels, strict=True))
