"""The mirror of a study in Weights & Biases: one run with its table, its figures and its wall."""

from typing import Any

import wandb

from awlab.plan import Plan
from awlab.record.study_directory import StudyDirectory
from awlab.report import wording
from awlab.report.attention import SHEET
from awlab.report.page import render
from awlab.report.records import records
from awlab.report.results import Results
from awlab.report.wall import Wall, wall
from awlab.spec.experiment import Experiment
from awlab.train.open_run import OpenRun
from awlab.train.wandb_run import Notify, files_in, project, start
from awlab.wall_sheet import measures, wall_sheet

JOB_TYPE = "report"
MOST_SHEETS = 12
"""Pictures of attention; a picture per cell."""
OF_CELL = ("n", "mean", "sd", "low", "high")
OF_DIFFERENCE = ("mean", "low", "high", "sign_flip_p", "holm_p")
FACTS = ("parameters", "gmacs", "step_seconds", "peak_memory_bytes", "published")


def mirror_study(plan: Plan, results: Results, *, notify: Notify) -> str | None:
    """Show what a study shows in W&B, in the same run every time, beside its runs.

    The mode is found as for a run (`runtime.wandb` of the base). Nothing that W&B does is an error.

    Args:
        plan: The study.
        results: Of the study.
        notify: Told in one line of what W&B could not do.

    Returns:
        Where to see it: a URL, or the command that uploads it; None where W&B is disabled.
    """
    base = plan.ablation.base
    assert isinstance(base, Experiment)
    runtime, directory = base.runtime, StudyDirectory.of(plan.ablation)
    identity = {
        "id": study_id(plan),
        "name": f"{plan.ablation.name}: report",
        "project": project(runtime),
        "entity": runtime.wandb_entity,
        "group": plan.ablation.name,
        "job_type": JOB_TYPE,
        "tags": [JOB_TYPE],
        "config": {"study": plan.ablation.model_dump(mode="json"), "plan": plan.to_json()},
    }
    with files_in(directory.wandb):
        run = start(directory, runtime.wandb, identity, notify)
        opened = OpenRun(run, notify, truth=str(directory.path))
        _show(opened, plan, results)
        address = opened.address
        opened.finish(exit_code=0)
    return address


def study_id(plan: Plan) -> str:
    """Of the W&B run of a study: the same however the study grows."""
    return f"study-{plan.ablation.name}"


def _show(opened: OpenRun, plan: Plan, results: Results) -> None:
    rows = result_rows(results)
    pictures = wall(plan, [cell.name for cell in results.comparison.cells])
    opened.attempt(lambda run: run.summary.update(_summary(results, rows)))
    for name, make in {
        "report/page": lambda: wandb.Html(render(plan, results, pictures), inject=False),
        "report/results": lambda: _table(rows),
        "report/means": lambda: wandb.plot.bar(
            _table(rows), "cell", "mean", title=f"mean of {results.metric}"
        ),
        "report/differences": lambda: wandb.plot.bar(
            _table([row for row in rows if row["difference/mean"] is not None]),
            "cell",
            "difference/mean",
            title=f"difference to {wording.baseline(results)}",
        ),
        "report/costs": lambda: wandb.plot.scatter(
            _table(rows), "gmacs", "mean", title=f"{results.metric} against multiply-accumulates"
        ),
    }.items():
        opened.attempt(lambda run, name=name, make=make: run.log({name: make()}))
    if pictures:
        opened.attempt(lambda run: _show_pictures(run, plan, results, pictures))


def _show_pictures(run: wandb.Run, plan: Plan, results: Results, found: Wall) -> None:
    labels = {name: wording.short(name, results).replace(wording.DOT, ",") for name in found.cells}
    sheet = wall_sheet(found, labels, title=plan.ablation.name)
    faithful = "; ".join(
        f"{labels[name]}: {', '.join(measures(samples))}"
        for name, samples in found.faithful.items()
    )
    run.log({"report/gradcam_wall": wandb.Image(sheet, caption=faithful or None)})
    sheets = {
        name: run_.directory.gradcam / SHEET
        for name, seed in found.cells.items()
        for run_ in plan[name].runs
        if run_.seed == seed
    }
    shown = [(name, path) for name, path in sheets.items() if path.is_file()][:MOST_SHEETS]
    if shown:
        images = [wandb.Image(str(path), caption=labels[name]) for name, path in shown]
        run.log({"report/attention": images})


def result_rows(results: Results) -> list[dict[str, Any]]:
    """A flat row per cell, without its numbers by seed."""
    return [
        {
            "cell": record["cell"],
            **{f"axis/{axis}": label for axis, label in record["labels"].items()},
            **{name: record[name] for name in OF_CELL},
            **{f"difference/{name}": record["difference"][name] for name in OF_DIFFERENCE},
            "verdict": record["verdict"],
            "missing": len(record["missing"]),
            **{name: record[name] for name in FACTS},
        }
        for record in records(results)
    ]


def _table(rows: list[dict[str, Any]]) -> wandb.Table:
    columns: list[Any] = list(rows[0]) if rows else ["cell"]
    return wandb.Table(columns=columns, data=[list(row.values()) for row in rows])


def _summary(results: Results, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The numbers of each cell, and what the study warns of."""
    of_cells = {
        f"{row['cell']}/{name}": row[name]
        for row in rows
        for name in ("mean", "difference/mean", "verdict")
        if row[name] is not None
    }
    return {"metric": results.metric, "warnings": list(wording.warnings(results)), **of_cells}
