"""From results to HTML."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from awlab.layer_attention import SOURCES
from awlab.plan import Plan
from awlab.report import wording
from awlab.report.attention import attention, class_picture, histogram_path
from awlab.report.curves import Curves, curves
from awlab.report.grid import grid
from awlab.report.headline import headline, metric_in_words
from awlab.report.page import sections
from awlab.report.provenance import provenance
from awlab.report.records import document
from awlab.report.results import Results
from awlab.report.wall import Wall, as_webp, wall

STYLES = ("style/base.css", "style/figures.css", "style/print.css", "uplot/uPlot.min.css")
SCRIPTS = (
    "uplot/LICENSE",
    "uplot/uPlot.iife.min.js",
    "script/theme.js",
    "script/sort.js",
    "script/curves.js",
    "script/save.js",
)


def render(plan: Plan, results: Results, pictures: Wall | None = None) -> str:
    """One HTML file: no network, no other file, nothing runs in it but its own scripts.

    Everything that a user wrote is escaped, and a content security policy allows only the scripts
    and styles whose hashes it names.

    Args:
        plan: The study.
        results: Of the study.
        pictures: The wall of all cells, where it has been gathered before.
    """
    drawn = curves(plan, [cell.name for cell in results.comparison.cells])
    origin = provenance(plan)
    pictures = pictures or wall(plan, [cell.name for cell in results.comparison.cells])
    style, script = _join(STYLES), _join(SCRIPTS)
    return (
        _environment()
        .get_template("page.html")
        .render(
            plan=plan,
            results=results,
            wording=wording,
            headline=headline(results),
            metric=metric_in_words(results.metric),
            warnings=[*wording.warnings(results), *origin.warnings],
            table=grid(results),
            differences=sections.differences(results),
            costs=sections.costs(results),
            effects=sections.effects(plan, results),
            curves=drawn,
            wall=pictures,
            attention=attention(plan, pictures.cells) if pictures else None,
            provenance=origin,
            policy=_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            data=_embedded(_data(plan, results, drawn)),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("awlab.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": _duration,
        "webp": as_webp,
        "class_picture": class_picture,
        "histogram_path": histogram_path,
    }
    environment.globals["sources"] = SOURCES
    return environment


def _join(names: Sequence[str]) -> str:
    return "\n".join(map(_asset, names))


def _asset(name: str) -> str:
    text = files("awlab.report.page").joinpath(name).read_text(encoding="utf-8")
    return f"/* {text} */" if name.endswith("LICENSE") else text


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _data(plan: Plan, results: Results, drawn: Curves | None) -> dict[str, Any]:
    return {
        "results": document(results),
        "plan": plan.to_json(),
        "curves": None if drawn is None else asdict(drawn),
        "labels": {
            cell.name: wording.short(cell.name, results) for cell in results.comparison.cells
        },
    }


def _embedded(data: dict[str, Any]) -> Markup:
    """JSON that no text in it can end: `<` is spelled so that HTML does not see it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours:,} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
