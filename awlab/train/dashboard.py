"""A W&B workspace for a study: its answer, its curves by cell, where it looks, what it costs."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb

from awlab.plan import Plan
from awlab.record.run_directory import write_atomically
from awlab.record.study_directory import StudyDirectory
from awlab.spec.errors import InputError
from awlab.spec.experiment import Experiment
from awlab.spec.metrics import Task
from awlab.train.study_mirror import study_id
from awlab.train.wandb_run import first_line, has_key, project

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Section, Workspace

CURVES: Mapping[Task, Sequence[str]] = {
    "classification": ("val/top1_error", "val/loss", "train/top1_error", "train/loss", "lr"),
    "detection": ("val/map", "val/map_50", "val/map_75", "train/loss", "lr"),
}
SYSTEM = ("system/gpu.0.gpu", "system/gpu.0.memoryAllocated", "system/cpu", "system/memory_percent")
CELL = "JobType"
"""W&B's name of what says the cell of a run."""


def dashboard(plan: Plan) -> "Workspace":
    """Build the workspace of a study; no server is asked.

    It shows the runs of the group that has the name of the study, by cell, and beside them what
    `mirror_study` has shown.

    Raises:
        InputError: When the package wandb-workspaces is missing.
    """
    try:
        from wandb_workspaces import workspaces as ws
        from wandb_workspaces.expr import And, Metric
    except ImportError as error:
        raise InputError(
            "awlab dashboard needs wandb-workspaces: pip install 'awlab[wandb-ui]'"
        ) from error
    metric = plan.ablation.metric.name
    runtime = _base(plan).runtime
    return ws.Workspace(
        entity=runtime.wandb_entity or os.environ.get("WANDB_ENTITY") or "",
        project=project(runtime),
        name=plan.ablation.name,
        sections=_sections(plan, metric),
        settings=ws.WorkspaceSettings(x_axis="trainer/global_step", max_runs=len(plan.runs) + 1),
        runset_settings=ws.RunsetSettings(
            filters=And(Metric("Group") == plan.ablation.name),
            groupby=[Metric(CELL)],
            pinned_columns=[f"summary:{name}" for name in (metric, "parameters", "gmacs")],
            pinned_runs=[study_id(plan)],
        ),
    )


def specification(workspace: "Workspace") -> dict[str, Any]:
    """What a server would be sent."""
    view = workspace._to_model()  # There is no public way to it; `save` sends it.
    return view.model_dump(mode="json", by_alias=True, exclude_none=True)


def save(plan: Plan) -> str:
    """Save the workspace of a study on the server, over the one that was saved before.

    Returns:
        Where to see it.

    Raises:
        InputError: When there is no API key, or the server does not take it.
    """
    workspace = dashboard(plan)
    reasons: list[str] = []
    if not has_key(reasons.append):
        raise InputError(
            f"{next(iter(reasons), 'W&B: no API key was found')} (wandb login stores one); "
            "awlab dashboard FILE --json prints the specification without a server"
        )
    file = StudyDirectory.of(plan.ablation).dashboard
    try:
        workspace.entity = workspace.entity or wandb.Api().default_entity or ""
        saved = _recall(file, workspace)
        workspace._internal_name, workspace._internal_id = (
            saved.get("name", ""),
            saved.get("id", ""),
        )
        workspace.save()
        url = workspace.url
    except Exception as error:
        raise InputError(f"W&B did not take the dashboard: {first_line(error)}") from error
    place = {"entity": workspace.entity, "project": workspace.project}
    view = {"name": workspace._internal_name, "id": workspace._internal_id}
    write_atomically(file, json.dumps(place | view | {"url": url}, indent=2) + "\n")
    return url


def _base(plan: Plan) -> Experiment:
    assert isinstance(plan.ablation.base, Experiment)
    return plan.ablation.base


def _sections(plan: Plan, metric: str) -> "list[Section]":
    from wandb_workspaces.reports import v2 as wr
    from wandb_workspaces.workspaces import Section, SectionLayoutSettings

    wide, pair = SectionLayoutSettings(columns=1, rows=2), SectionLayoutSettings(columns=2, rows=2)
    by_cell: dict[str, Any] = {
        "groupby": CELL,
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "minmax",
    }
    task = _base(plan).data.task
    curves: list[Any] = [wr.LinePlot(title=name, y=[name], **by_cell) for name in CURVES[task]]
    return [
        Section(
            name="Answer",
            is_open=True,
            layout_settings=wide,
            panels=[
                wr.MediaBrowser(title="report", media_keys=["report/page"], num_columns=1),
                wr.WeavePanelSummaryTable(table_name="report/results"),
            ],
        ),
        Section(
            name="Results by cell",
            is_open=True,
            layout_settings=pair,
            panels=[
                wr.BarPlot(title=metric, metrics=[metric], **by_cell),
                wr.ScatterPlot(title="against cost", x=_summary("gmacs"), y=_summary(metric)),
            ],
        ),
        Section(name="Learning curves", is_open=True, layout_settings=pair, panels=curves),
        Section(**_pictures(task), is_open=True, layout_settings=wide),
        Section(
            name="System",
            layout_settings=pair,
            panels=[wr.LinePlot(title=name, x="RelativeTime", y=[name]) for name in SYSTEM],
        ),
    ]


def _pictures(task: Task) -> dict[str, Any]:
    """Name and panels of what single runs show of test images."""
    from wandb_workspaces.reports import v2 as wr

    if task == "detection":
        sheets = wr.MediaBrowser(media_keys=["detections/sheet"], num_columns=2)
        table = wr.WeavePanelSummaryTable(table_name="detections/table")
        return {"name": "Detections", "panels": [sheets, table]}
    of_study = ["report/gradcam_wall", "report/attention"]
    wall = wr.MediaBrowser(title="wall and attention", media_keys=of_study, num_columns=1)
    sheets = wr.MediaBrowser(media_keys=["gradcam/sheet", "attention/sheet"], num_columns=2)
    table = wr.WeavePanelSummaryTable(table_name="gradcam/table")
    return {"name": "Grad-CAM", "panels": [wall, sheets, table]}


def _summary(name: str) -> Any:
    from wandb_workspaces.reports.v2 import SummaryMetric

    return SummaryMetric(name)


def _recall(file: Path, workspace: "Workspace") -> dict[str, str]:
    """The view that was saved before in the same project; nothing where there is none."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        same = (saved["entity"], saved["project"]) == (workspace.entity, workspace.project)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return saved if same else {}
