"""How results are said to a reader: numbers, verdicts, notes, warnings."""

from collections.abc import Iterable, Iterator, Mapping

from awlab.report.results import Results
from awlab.statistics import CellSummary, Difference, Sample, Verdict
from awlab.statistics.power import comparisons_that_can_survive, seeds_needed, smallest_p

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
MINUS = "\N{MINUS SIGN}"
AT_LEAST = "\N{GREATER-THAN OR EQUAL TO}"
NOTHING = "\N{EN DASH}"
DOT = "\N{MIDDLE DOT}"
LISTED_SEEDS = 8
LONGEST_NAME = 40
"""Of a cell in a sentence, letters."""


def labels(of_axes: Mapping[str, str]) -> str:
    """A cell: the label of the only axis, or `axis=label, axis=label`."""
    if len(of_axes) == 1:
        return next(iter(of_axes.values()))
    return ", ".join(f"{axis}={label}" for axis, label in of_axes.items())


def short(name: str, results: Results) -> str:
    """A cell in a figure: its labels alone, in the order of the axes."""
    return f" {DOT} ".join(results.varied_labels(name).values())


def baseline(results: Results, cells: Iterable[CellSummary] | None = None) -> str:
    """The baseline of cells in a sentence, by its name where there is one and that is short."""
    names = {
        results.comparison.reference_of(cell.name)
        for cell in (results.comparison.cells if cells is None else cells)
    }
    name = short(min(names), results)
    return name if len(names) == 1 and len(name) <= LONGEST_NAME else "the baseline"


def number(value: float, results: Results, *, signed: bool = False) -> str:
    """A value of the metric, or a difference of two, rounded as papers print it."""
    decimals = 2 if results.is_percent else 4
    return f"{value:{'+' if signed else ''}z.{decimals}f}".replace("-", MINUS)


def with_interval(sample: Sample, results: Results, *, signed: bool = False) -> str:
    """Mean and half the width of its interval, as far as there are enough runs."""
    if sample.mean is None:
        return NOTHING
    mean = number(sample.mean, results, signed=signed)
    if sample.interval is None:
        return mean
    low, high = sample.interval
    return f"{mean} {PLUS_MINUS} {number((high - low) / 2, results)}"


def runs(cell: CellSummary) -> str:
    """Number of finished runs; of how many, where some are missing."""
    declared = cell.sample.n + len(cell.missing)
    if declared == 0:
        return NOTHING
    return f"{cell.sample.n}/{declared}" if cell.missing else str(declared)


def p_value(p: float) -> str:
    """Three digits, or that it is below 0.001."""
    return "<0.001" if p < 0.001 else f"{p:.3g}"


def verdict(cell: CellSummary, results: Results) -> str:
    """What may be said of a cell, or why it is not tested."""
    if cell.name in results.same_as:
        return f"same network as {labels(results.varied_labels(results.same_as[cell.name]))}"
    if results.is_baseline(cell.name):
        return f"baseline ({missing(cell)})" if cell.missing else "baseline"
    if cell.missing:
        return f"not tested: {missing(cell)}"
    if cell.difference is None:
        return "not tested: the baseline lacks seeds"
    return _of_difference(cell.difference, results)


def missing(cell: CellSummary) -> str:
    """Which seeds have no number, and why."""
    by_reason: dict[str, list[int]] = {}
    for seed, reason in cell.missing.items():
        by_reason.setdefault(reason, []).append(seed)
    return ", ".join(f"{_seeds(seeds)} {reason}" for reason, seeds in by_reason.items())


def notes(results: Results) -> Iterator[str]:
    """How the numbers of a table were found."""
    comparison = results.comparison
    yield (
        f"{PLUS_MINUS}: half the width of the {100 * comparison.confidence:g} % t interval of the "
        "mean over seeds, of each number alone."
    )
    if not comparison.family:
        return
    yield (
        f"Differences are to the baseline {_references(results)}, paired by seed. p: exact "
        "two-sided sign-flip test, adjusted by Holm's method for "
        f"{_count(comparison.family, 'comparison')}; the verdicts of a study have a family-wise "
        f"error of at most {100 * comparison.alpha:g} %."
    )
    differences = [cell.difference for cell in comparison.cells if cell.difference is not None]
    correlations = [d.correlation for d in differences if d.correlation is not None]
    if correlations:
        low, high = (f"{of(correlations):z.2f}".replace("-", MINUS) for of in (min, max))
        yield (
            f"Correlation of the paired runs: {low if low == high else f'{low} to {high}'}; "
            "above 0, pairing narrows the intervals."
        )
    if any(d.verdict is Verdict.BETTER for d in differences):
        yield "Bold: shown to be better than the baseline."


def _references(results: Results) -> str:
    """The baseline, and the others with the cells that are compared with them."""
    said = labels(results.varied_labels(results.comparison.baseline))
    for other in results.comparison.baselines[1:]:
        cells = (name for name, of in results.comparison.references.items() if of == other != name)
        listed = "; ".join(labels(results.varied_labels(name)) for name in cells)
        said += f", but to {labels(results.varied_labels(other))} for {listed}"
    return said


def warnings(results: Results) -> Iterator[str]:
    """What a reader must know before believing a table."""
    comparison, split = results.comparison, results.metric.partition("/")[0]
    if results.epoch_chosen_on == split:
        yield (
            f"The {split} set chose the epoch that it then judged: {results.metric} looks better "
            "than it is. Report the last epoch, or choose the epoch on another split."
        )
    incomplete = sum(bool(cell.missing) for cell in comparison.cells)
    if incomplete:
        tested = sum(cell.difference is not None for cell in comparison.cells)
        yield (
            f"Cells that lack runs: {incomplete} of {len(comparison.cells)}. "
            f"Comparisons not tested: {comparison.family - tested} of {comparison.family}."
        )
    seeds, family = len(comparison.seeds), comparison.family
    if family > comparisons_that_can_survive(seeds, alpha=comparison.alpha):
        needed = seeds_needed(family, alpha=comparison.alpha)
        yield (
            f"With {_count(seeds, 'seed')} no p below {p_value(smallest_p(seeds))} is possible; "
            f"{_count(family, 'comparison')} {'needs' if family == 1 else 'need'} {needed} seeds "
            "for any verdict."
        )


def _of_difference(difference: Difference, results: Results) -> str:
    word = difference.verdict
    if word is not Verdict.NO_DIFFERENCE_SHOWN or difference.could_see is None:
        return str(word)
    if difference.could_see == 0:
        return f"{word} (equal in every seed)"
    unit = " pp" if results.is_percent else ""
    return f"{word} (could only see {AT_LEAST} {number(difference.could_see, results)}{unit})"


def _seeds(seeds: list[int]) -> str:
    if len(seeds) > LISTED_SEEDS:
        return f"{len(seeds)} seeds"
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
