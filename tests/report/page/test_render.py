import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from awlab.plan import Plan
from awlab.record.run_directory import RunDirectory
from awlab.report.collect import collect
from awlab.report.page import render
from awlab.report.results import CellFacts
from awlab.report.wall import wall
from tests.test_layer_attention import LAYER

MakePlan = Callable[..., Plan]
Finish = Callable[..., RunDirectory]
Explain = Callable[..., None]
DOT = "\N{MIDDLE DOT}"
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Checks that tags are closed in order; keeps texts, scripts, styles and sections."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.sections: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag == "section":
            self.sections += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


@pytest.fixture
def page(make_plan: MakePlan, finish: Finish, explain: Explain) -> Page:
    """Of a study that has everything."""
    changes: dict[str, Any] = {
        "axes": {
            "f2": {"path": "model.conv.f2", "values": ["residual", "product"]},
            "r": {"path": "model.conv.reduction", "values": [8, 16]},
        },
        "baseline": "f2=residual,r=8",
        "seeds": 7,
        "paper": {"f2=product,r=8": {"source": "Table 9", "top1_error": 9.0}},
    }
    for k, cell in enumerate(make_plan(**changes).cells):
        for run in cell.runs:
            finish(run, 10 + k + 0.1 * run.seed, parameters=1000 + k, gmacs=0.1 * (1 + k))
        faithful = {"drop": 30.0 + k, "deletion": 0.25, "insertion": 0.5}
        images = ({"prediction": name} | faithful for name in ("cat", "dog"))
        explain(cell.runs[0], *images, attention=[LAYER])
    plan = make_plan(**changes)
    return Page(render(plan, collect(plan)))


def test_a_full_study_has_every_section(page: Page) -> None:
    assert page.sections == [
        "differences",
        "results",
        "curves",
        "costs",
        "effects",
        "gradcam",
        "attention",
        "plan",
        "provenance",
    ]


def test_how_faithful_maps_are_stands_below_them(page: Page) -> None:
    cells = page.texts["td"]
    assert [text for text in cells if text in {"30 ", "31 ", "32 ", "33 "}] == [
        "30 ",
        "31 ",
        "32 ",
        "33 ",
    ]
    captions = " ".join(page.texts["p"])
    assert "Grad-CAM at l: " in captions
    assert "over the 2 images that each network explained" in captions


def test_maps_that_were_measured_in_part_are_shown_without_it(
    make_plan: MakePlan, finish: Finish, explain: Explain
) -> None:
    for run in make_plan().runs:
        finish(run, 10.0)
    cat = {"prediction": "cat", "deletion": 0.25, "insertion": 0.5}
    explain(make_plan()["residual"].runs[0], cat | {"drop": 30.0}, cat)
    plan = make_plan()
    page = Page(render(plan, collect(plan)))
    assert "gradcam" in page.sections
    assert "deletion" not in page.texts["th"]


def test_a_wall_that_was_gathered_before_is_the_one_that_is_shown(
    make_plan: MakePlan, finish: Finish, explain: Explain
) -> None:
    for run in make_plan().runs:
        finish(run, 10.0)
    explain(make_plan()["residual"].runs[0], {"prediction": "cat"})
    plan = make_plan()
    found = wall(plan, ["residual"])
    assert found is not None
    shown = render(plan, collect(plan), replace(found, layers={"residual": "layer7"}))
    assert "Grad-CAM at layer7: " in " ".join(Page(shown).texts["p"])


def test_attention_is_shown_layer_by_layer(page: Page) -> None:
    assert page.texts["summary"][0] == f"residual {DOT} 8 "
    small = " ".join(page.texts["small"])
    assert "8 C1 share one: 144 values for 1,152 weights" in small
    assert "along C2, up to 0.1 from the mean; the class explains 20\u00a0%" in small
    assert "C2 40\u00a0%, image and C2 30\u00a0%" in small
    shares = [value or "" for name, value in page.attributes if name == "aria-label"]
    assert any(
        text.startswith("image 10 %, C2 40 %, C1 0 %, tap 10 %, image and") for text in shares
    )


def test_the_verdict_comes_first(page: Page) -> None:
    assert page.texts["h1"] == ["study"]
    variants = ", ".join(f"{f2} {DOT} {r}" for f2, r in (("residual", 16), ("product", 8)))
    assert page.texts["p"][0] == (
        f"{variants} and product {DOT} 16 are worse than residual {DOT} 8."
    )


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    links = [value or "" for name, value in page.attributes if name in {"src", "href", "srcset"}]
    assert len([link for link in links if link.startswith("data:image/webp;base64,")]) == 10
    assert len([link for link in links if link.startswith("data:image/png;base64,")]) == 4
    others = [link for link in links if not link.startswith("data:")]
    assert others == ["https://github.com/leeoniya/uPlot"], "a link to follow, not to load"


def test_the_policy_allows_what_the_page_brings_and_nothing_else(page: Page) -> None:
    contents = [value or "" for name, value in page.attributes if name == "content"]
    (policy,) = (content for content in contents if "-src" in content)
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    _, script = page.texts["script"]
    (style,) = page.texts["style"]
    assert allowed == {
        "default-src": "'none'",
        "style-src": sha256(style),
        "script-src": sha256(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    names = {name for name, _ in page.attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]


def sha256(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def test_the_data_of_the_page_are_in_it(page: Page) -> None:
    data = json.loads(page.texts["script"][0])
    assert list(data) == ["results", "plan", "curves", "labels"]
    assert data["results"]["title"] == "study"
    assert len(data["plan"]["cells"]) == 4
    assert data["curves"]["epochs"] == [1, 2]
    assert data["labels"]["f2=product,r=8"] == f"product {DOT} 8"


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "\N{GREEK SMALL LETTER ALPHA}\N{SNOWMAN}\N{RIGHT-TO-LEFT OVERRIDE}",
    "x" * 300,
]


@pytest.mark.fault
@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_text_and_nothing_more(
    make_plan: MakePlan, finish: Finish, explain: Explain, text: str
) -> None:
    exclude = [{"when": {"f2": "third"}, "reason": text}]
    axis = {
        "path": "model.conv.f2",
        "values": {"a": "residual", "b": "product", "third": "residual"},
    }
    changes: dict[str, Any] = {"axes": {"f2": axis}, "baseline": "a", "exclude": exclude}
    for run in make_plan(**changes).runs:
        directory = finish(run, 10.0 + run.seed)
        environment = json.loads(directory.environment.read_text())
        environment["attempts"][0] |= {"command": [text], "devices": [text], "platform": text}
        environment["attempts"][0]["code"]["awlab"]["dirty"] = "d" * 16
        directory.patch("d" * 16).write_text(text)
        directory.environment.write_text(json.dumps(environment))
        layer = replace(LAYER, layer=text, sizes={text: 2}, distinct={text: 1}, followed=text)
        entry = {"prediction": text, "truth": text, "source": text}
        explain(run, entry, attention=[layer], classes=[text], layer=text)
    plan = make_plan(**changes)
    results = collect(plan)
    names = dict.fromkeys(["a", "b"], CellFacts(1))
    hostile = replace(
        results,
        title=text,
        metric=f"test/{text}",
        labels={name: {text: f"{name}{text}"} for name in names},
    )
    page = Page(render(plan, hostile))
    assert len(page.texts["script"]) == 2
    assert page.texts["h1"] == [text]
    assert page.texts["pre"] == [text]
    assert "onerror" not in {name for name, _ in page.attributes}
    assert json.loads(page.texts["script"][0])["results"]["title"] == text
    assert "49" not in page.texts["h1"][0]


def test_nothing_finished(make_plan: MakePlan) -> None:
    plan = make_plan()
    page = Page(render(plan, collect(plan)))
    assert page.sections == ["results", "plan"]
    assert "No run of this study is finished yet." in page.texts["p"]


def test_one_seed(make_plan: MakePlan, finish: Finish) -> None:
    for run in make_plan(seeds=1).runs:
        finish(run, 10.0)
    plan = make_plan(seeds=1)
    page = Page(render(plan, collect(plan)))
    assert page.sections == ["differences", "results", "curves", "plan", "provenance"]
    assert any("1 seed is too few" in text for text in page.texts["p"])


def test_a_failed_baseline(make_plan: MakePlan, finish: Finish) -> None:
    for run in make_plan()["product"].runs:
        finish(run, 10.0)
    failed = RunDirectory(make_plan()["residual"].runs[0].path)
    failed.create(make_plan()["residual"].runs[0].experiment)
    failed.fail("out of memory", "CUDA out of memory")
    plan = make_plan()
    page = Page(render(plan, collect(plan)))
    assert page.sections == ["results", "curves", "plan", "provenance"]
    lead = (
        "Nothing can be compared yet: the baseline residual lacks runs "
        "(seed 0 failed: out of memory, seed 1 not finished)."
    )
    assert lead in page.texts["p"]


def test_of_many_commands_a_few_are_shown(make_plan: MakePlan, finish: Finish) -> None:
    for k, run in enumerate(make_plan(seeds=3).runs):
        directory = finish(run, 10.0)
        environment = json.loads(directory.environment.read_text())
        environment["attempts"][0]["command"] = ["awlab", "run", f"number-{k % 5}"]
        directory.environment.write_text(json.dumps(environment))
    plan = make_plan(seeds=3)
    texts = Page(render(plan, collect(plan))).texts
    assert [text for text in texts["code"] if "number" in text] == [
        "awlab run number-0",
        "awlab run number-1",
        "awlab run number-2",
    ]
    assert "and 2 more" in texts["small"]


def test_a_factorial_with_a_hole_says_so(make_plan: MakePlan, finish: Finish) -> None:
    changes: dict[str, Any] = {
        "axes": {
            "f2": {"path": "model.conv.f2", "values": ["residual", "product"]},
            "r": {"path": "model.conv.reduction", "values": [8, 16]},
        },
        "baseline": "f2=residual,r=8",
        "exclude": [{"when": {"f2": "product", "r": 16}, "reason": "why"}],
    }
    for run in make_plan(**changes).runs:
        finish(run, 10.0)
    plan = make_plan(**changes)
    page = Page(render(plan, collect(plan)))
    assert "effects" in page.sections
    assert any(
        "1 cell lacks runs or is not in the plan: f2=product,r=16." in text
        for text in page.texts["p"]
    )


def test_what_became_of_every_cell(make_plan: MakePlan, finish: Finish) -> None:
    values = {"a": "residual", "same": "residual", "b": "product", "c": "product"}
    changes: dict[str, Any] = {
        "axes": {"f2": {"path": "model.conv.f2", "values": values}},
        "baseline": "same",
        "exclude": [{"when": {"f2": "c"}, "reason": "makes no sense"}],
    }
    for run in make_plan(**changes).runs:
        finish(run, 10.0)
    plan = make_plan(**changes)
    texts = Page(render(plan, collect(plan))).texts["td"]
    assert "excluded: makes no sense" in texts
    assert "the same runs as a" in texts
    assert any(re.fullmatch("same network as same", text) for text in texts)
    assert texts.count("10.00") == 4, "each run once"
