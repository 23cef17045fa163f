"""Results as plain types: what programs read, and what the page embeds."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from awlab.report import wording
from awlab.report.results import Results
from awlab.statistics import CellSummary, Difference, Sample
from awlab.statistics.significance import describe


def document(results: Results) -> dict[str, Any]:
    """A whole study."""
    comparison = results.comparison
    return {
        "title": results.title,
        "metric": results.metric,
        "unit": "percent" if results.is_percent else None,
        "direction": comparison.direction,
        "baseline": comparison.baseline,
        "seeds": list(comparison.seeds),
        "confidence": comparison.confidence,
        "alpha": comparison.alpha,
        "comparisons": comparison.family,
        "epoch_chosen_on": results.epoch_chosen_on,
        "warnings": list(wording.warnings(results)),
        "cells": records(results),
    }


def records(results: Results) -> list[dict[str, Any]]:
    """One mapping per cell, all with the same keys; None is unknown or not tested.

    `n`, `mean`, `sd`, `low`, `high` and `by_seed` are those of the cell and, under `difference`,
    those of its differences to its `baseline`, which is None of a baseline itself. A cell for which
    another one is run (`same_as`) has no numbers of its own.
    """
    return [_record(results, cell) for cell in results.cells]


def _record(results: Results, cell: CellSummary) -> dict[str, Any]:
    seeds = results.comparison.seeds
    return {
        "cell": cell.name,
        "labels": dict(results.labels_of(cell.name)),
        "same_as": results.same_as.get(cell.name),
        "baseline": _baseline(cell, results),
        **_sample(cell.sample, cell.by_seed, seeds),
        "missing": {str(seed): reason for seed, reason in cell.missing.items()},
        "verdict": None if cell.difference is None else str(cell.difference.verdict),
        "difference": _difference(cell.difference, seeds),
        **asdict(results.facts_of(cell.name)),
        "published_difference": results.published_difference(cell.name),
    }


def _baseline(cell: CellSummary, results: Results) -> str | None:
    if cell.name in results.same_as or results.is_baseline(cell.name):
        return None
    return results.comparison.reference_of(cell.name)


def _sample(sample: Sample, by_seed: Mapping[int, float], seeds: Iterable[int]) -> dict[str, Any]:
    low, high = sample.interval or (None, None)
    return {
        "n": sample.n,
        "mean": sample.mean,
        "sd": sample.sd,
        "low": low,
        "high": high,
        "by_seed": {str(seed): by_seed.get(seed) for seed in seeds},
    }


def _difference(difference: Difference | None, seeds: Iterable[int]) -> dict[str, Any]:
    if difference is None:
        tests = ("sign_flip_p", "t_p", "holm_p", "could_see", "correlation")
        return _sample(describe([]), {}, seeds) | dict.fromkeys(tests)
    paired = difference.paired
    return _sample(paired.sample, paired.by_seed, seeds) | {
        "sign_flip_p": paired.sign_flip_p,
        "t_p": paired.t_p,
        "holm_p": difference.holm_p,
        "could_see": difference.could_see,
        "correlation": difference.correlation,
    }
