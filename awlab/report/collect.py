"""From the runs of a plan to results."""

from collections.abc import Mapping, Sequence
from statistics import median

from awlab.plan import Cell, Plan, Run
from awlab.record.record import Result, metric_of, read_result
from awlab.report.results import CellFacts, Results
from awlab.spec.errors import InputError, did_you_mean
from awlab.spec.experiment import Experiment, Paper
from awlab.spec.metrics import MEASURES
from awlab.statistics import compare
from awlab.statistics.comparison import DIVERGED, NOT_FINISHED

PRINTED = {f"test/{name}": name for name in MEASURES if name in Paper.model_fields}
"""Metrics that published tables print, and the field of `Paper` that holds them."""
LONGEST_REASON = 60

Outcome = Result | str
"""What a finished run is worth, or why there is none."""


def collect(plan: Plan) -> Results:
    """Read what the runs of a study left, and compare.

    Every cell that is not excluded has a row, however little of it is done. Runs that are not
    finished, failed, diverged or left a damaged result are missing and say so.

    Raises:
        InputError: When runs are finished and none of them has the metric of the study.
    """
    metric = plan.ablation.metric
    stand_ins = _stand_ins(plan)
    cells = {cell.name: cell for cell in plan.cells if stand_ins.get(cell.name) == cell.name}
    outcomes = {name: [(run.seed, outcome(run)) for run in cells[name].runs] for name in cells}
    _check_metric(plan, [found for of_cell in outcomes.values() for _, found in of_cell])
    return Results(
        title=plan.ablation.name,
        metric=metric.name,
        comparison=compare(
            {
                name: {seed: _value(found, metric.name) for seed, found in of_cell}
                for name, of_cell in outcomes.items()
            },
            baseline=stand_ins[plan.baseline],
            seeds=plan.ablation.seed_values,
            direction=metric.direction,
            references=_references(plan, stand_ins),
        ),
        labels={name: plan[name].labels for name in stand_ins},
        facts=_facts(plan, stand_ins, outcomes),
        same_as={name: other for name, other in stand_ins.items() if name != other},
        epoch_chosen_on=_epoch_chosen_on(metric.name, [run.experiment for run in plan.runs]),
    )


def outcome(run: Run) -> Outcome:
    """Read the result of a run."""
    if run.state != "finished":
        return _unfinished(run)
    try:
        return read_result(run.directory)
    except (InputError, OSError):
        return "has a damaged result"


def _unfinished(run: Run) -> str:
    if run.state != "failed":
        return NOT_FINISHED
    failure = (run.directory.failure or "")[:LONGEST_REASON]
    if failure == DIVERGED:
        return DIVERGED
    return "failed" if failure in {"", "error"} else f"failed: {failure}"


def _stand_ins(plan: Plan) -> dict[str, str]:
    """Each cell that is not excluded, to the one that is shown with its runs.

    Of the cells that share runs, that is a baseline if one is among them, else the first.
    """
    first = {cell.name: cell.same_as or cell.name for cell in plan.cells if cell.excluded is None}
    of_first = {first[name]: name for name in reversed(plan.baselines)}
    return {name: of_first.get(other, other) for name, other in first.items()}


def _references(plan: Plan, stand_ins: Mapping[str, str]) -> dict[str, str]:
    return {
        stand_ins[name]: stand_ins[baseline]
        for name, baseline in plan.references.items()
        if stand_ins[name] == name or name == baseline
    }


def _value(found: Outcome, metric: str) -> float | str:
    if isinstance(found, str):
        return found
    value = metric_of(found, metric)
    return f"lacks {metric}" if value is None else value


def _check_metric(plan: Plan, outcomes: Sequence[Outcome]) -> None:
    finished = [found for found in outcomes if isinstance(found, Result)]
    metric = plan.ablation.metric.name
    if not finished or any(metric_of(result, metric) is not None for result in finished):
        return
    known = sorted({name for result in finished for name in result.metrics | result.last.metrics})
    raise InputError(
        f"metric.name of the study {plan.ablation.name} is {metric!r}, which none of its "
        f"{len(finished)} finished runs has; expected one of {', '.join(known)}. "
        f"{did_you_mean(metric, known)}".rstrip()
    )


def _facts(
    plan: Plan,
    stand_ins: Mapping[str, str],
    outcomes: Mapping[str, Sequence[tuple[int, Outcome]]],
) -> dict[str, CellFacts]:
    return {
        name: _facts_of(
            plan[name],
            [found for _, found in outcomes[other] if isinstance(found, Result)],
            plan.ablation.metric.name,
        )
        for name, other in stand_ins.items()
    }


def _facts_of(cell: Cell, results: Sequence[Result], metric: str) -> CellFacts:
    published = _printed(cell.paper, metric)
    if not results:
        return CellFacts(published=published)
    batch = cell.runs[0].experiment.training.batch_size
    steps = [batch / r.images_per_second for r in results if r.images_per_second > 0]
    memory = [r.peak_memory_bytes for r in results if r.peak_memory_bytes > 0]
    return CellFacts(
        parameters=results[0].parameters,
        gmacs=results[0].gmacs,
        step_seconds=median(steps) if steps else None,
        peak_memory_bytes=max(memory, default=None),
        published=published,
    )


def _printed(paper: Paper | None, metric: str) -> float | None:
    return None if paper is None or metric not in PRINTED else getattr(paper, PRINTED[metric])


def _epoch_chosen_on(metric: str, experiments: Sequence[Experiment]) -> str | None:
    """A metric of the validation is that of the last epoch, whichever weights are tested."""
    best = any(experiment.training.test_weights == "best" for experiment in experiments)
    return "val" if best and metric.startswith("test/") else None
