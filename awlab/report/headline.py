"""The answer of a study in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from awlab.report import wording
from awlab.report.results import Results
from awlab.spec.metrics import measure_of
from awlab.statistics import CellSummary, Verdict

MOST_NAMED = 3
SPLITS = {"test": "test set", "val": "validation set"}


@dataclass(frozen=True)
class Headline:
    """What a study shows.

    Attributes:
        lead: One sentence.
        detail: What has to be said with it, or nothing.
        verdicts: Verdict to the cells that have it; in the order of the study.
    """

    lead: str
    detail: str
    verdicts: Mapping[str, Sequence[str]]


def headline(results: Results) -> Headline:
    """Say what a study shows, without any word that its verdicts do not carry."""
    verdicts: dict[str, list[str]] = {str(word): [] for word in Verdict} | {"not tested": []}
    for cell in results.comparison.cells:
        if not results.is_baseline(cell.name):
            word = str(cell.difference.verdict) if cell.difference else "not tested"
            verdicts[word].append(wording.short(cell.name, results))
    said = {word: names for word, names in verdicts.items() if names}
    return Headline(_lead(results), _detail(results), said)


def metric_in_words(metric: str) -> str:
    """`test/top1_error` is "top-1 error on the test set"."""
    split, _, name = metric.partition("/")
    measure = measure_of(metric)
    words = name.replace("_", " ") if measure is None else measure.words
    return f"{words} on the {SPLITS.get(split, split)}"


def _lead(results: Results) -> str:
    comparison = results.comparison
    cells = comparison.cells
    baselines = [comparison[name] for name in comparison.baselines]
    if not any(cell.by_seed for cell in cells):
        return "No run of this study is finished yet."
    if len(cells) == 1:
        mean = wording.with_interval(cells[0].sample, results)
        unit = " %" if results.is_percent else ""
        return (
            f"A single cell has nothing to be compared with: its {metric_in_words(results.metric)} "
            f"is {mean}{unit}."
        )
    if all(baseline.missing for baseline in baselines):
        lacking = (
            f"{_baseline(cell, results)} lacks runs ({wording.missing(cell)})" for cell in baselines
        )
        return f"Nothing can be compared yet: {'; '.join(lacking)}."
    return _of_verdicts(results)


def _baseline(cell: CellSummary, results: Results) -> str:
    name = wording.short(cell.name, results)
    return f"the baseline {name}" if len(name) <= wording.LONGEST_NAME else "the baseline"


def _of_verdicts(results: Results) -> str:
    by_verdict = _by_verdict(results)
    for word in (Verdict.BETTER, Verdict.WORSE):
        if by_verdict[word]:
            return _shown(results, by_verdict[word], word)
    if few := by_verdict[Verdict.TOO_FEW_SEEDS]:
        seeds = len(results.comparison.seeds)
        return (
            f"{seeds} seed{' is' if seeds == 1 else 's are'} too few to say whether any variant "
            f"differs from {wording.baseline(results, few)}."
        )
    if unclear := by_verdict[Verdict.NO_DIFFERENCE_SHOWN]:
        return f"No difference to {wording.baseline(results, unclear)} is shown."
    return f"No variant can be compared with {wording.baseline(results)} yet: all lack runs."


def _shown(results: Results, cells: Sequence[CellSummary], word: Verdict) -> str:
    names = [wording.short(cell.name, results) for cell in cells]
    if len(names) > MOST_NAMED or max(map(len, names)) > wording.LONGEST_NAME:
        names = [f"{len(names)} of {results.comparison.family} variants"]
    who = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    baseline = wording.baseline(results, cells)
    if not _of_one_family(results, cells):
        baseline = "their baselines"
    if len(cells) == 1:
        return f"{who} is {word} than {baseline}: it {_changes(results, cells[0])}."
    return f"{who} are {word} than {baseline}."


def _detail(results: Results) -> str:
    """Of several of a family that are better, the one with the best mean."""
    better = _by_verdict(results)[Verdict.BETTER]
    if len(better) < 2 or not _of_one_family(results, better):
        return ""
    lowest = results.comparison.direction == "min"
    best = (min if lowest else max)(better, key=lambda cell: cell.sample.mean or 0.0)
    return (
        f"Of these, {wording.short(best.name, results)} has the {'lowest' if lowest else 'highest'}"
        f" mean: it {_changes(results, best)}. Which of them is best is not tested."
    )


def _of_one_family(results: Results, cells: Sequence[CellSummary]) -> bool:
    return len({results.comparison.reference_of(cell.name) for cell in cells}) == 1


def _by_verdict(results: Results) -> dict[Verdict, list[CellSummary]]:
    by_verdict: dict[Verdict, list[CellSummary]] = {word: [] for word in Verdict}
    for cell in results.comparison.cells:
        if cell.difference is not None:
            by_verdict[cell.difference.verdict].append(cell)
    return by_verdict


def _changes(results: Results, cell: CellSummary) -> str:
    assert cell.difference is not None
    sample = cell.difference.paired.sample
    assert sample.mean is not None
    verb, sign = ("lowers", -1) if sample.mean < 0 else ("raises", 1)
    unit = " pp" if results.is_percent else ""
    text = f"{verb} the {metric_in_words(results.metric)} by "
    text += f"{wording.number(abs(sample.mean), results)}{unit}"
    if sample.interval is None:
        return text
    ends = sorted(sign * end for end in sample.interval)
    low, high = (wording.number(end, results) for end in ends)
    return f"{text} ({100 * results.comparison.confidence:g} % interval {low} to {high})"
