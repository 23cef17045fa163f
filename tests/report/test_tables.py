import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awlab.report.records import document
from awlab.report.results import Results
from awlab.report.tables import FORMATS, as_csv, as_json, as_latex, as_markdown
from awlab.statistics import compare

WICKED = [
    "<script>alert(1)</script>",
    "a|b",
    "R&D 50% #1 $x$ {y} ^z ~w",
    "top1_error_",
    "back\\slash \\end{table} \\input{/etc/passwd}",
    "[optional] *starred* `code`",
    "two\nlines\ttab",
    "--- -- -",
    "r\u00e9sum\u00e9 \u03b1 \u4e2d\u6587 \U0001f600 \u202e right to left",
    "long " * 60,
    'quo"ted, comma; =1+1',
    "",
]


def wicked(names: list[str]) -> Results:
    """A study whose title, axis and cells have these names; the first cell is the baseline."""
    runs = {
        name: {seed: 28 + 0.1 * seed + index for seed in range(6)}
        for index, name in enumerate(names)
    }
    comparison = compare(runs, baseline=names[0], seeds=range(6), direction="min")
    labels = {name: {names[0]: name, "same": names[-1]} for name in names}
    return Results(names[-1], "test/top1_error", comparison, labels)


def markdown_rows(text: str) -> list[list[str]]:
    """The texts of a table of GitHub's Markdown, as its specification splits them."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_markdown(results: Results) -> None:
    text = as_markdown(results)
    header, rule, *rows = markdown_rows(text)
    assert text.startswith("Table: attention: test/top1_error in %, lower is better. All cells: ")
    assert header[:3] == ["attention", "n", "test/top1_error"]
    assert rule[:3] == [":--", "--:", "--:"]
    assert [row[0] for row in rows] == ["plain", "aw", "se", "aa", "cbam", "eca"]
    assert rows[1][2].startswith("**27.30 ")
    assert text.count("**") == 2, "one is shown to be better"
    assert "\n- Warning: Cells that lack runs: 1 of 5." in text
    assert "\n- Bold: shown to be better than the baseline.\n" in text


def test_markdown_keeps_names_from_becoming_markup() -> None:
    text = as_markdown(wicked(WICKED))
    rows = markdown_rows(text)
    assert len(rows) == 2 + len(WICKED)
    assert len({len(row) for row in rows}) == 1
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    names = [row[0] for row in rows[2:]]
    assert names[1:4] == ["a\\|b", "R&amp;D 50% #1 \\$x\\$ {y} ^z \\~w", "top1_error\\_"]
    assert names[5] == "\\[optional\\] \\*starred\\* \\`code\\`"
    assert names[6] == "two lines tab"
    assert "\u202e" not in text


def test_latex(results: Results) -> None:
    text = as_latex(results)
    body = text.partition("\\midrule")[2].partition("\\bottomrule")[0]
    assert r"\caption{attention: test/top1\_error in \%, lower is better." in text
    assert r"\begin{tabular}{lrrrrlrrrrrr}" in text
    assert [row.split("&")[0].strip() for row in body.split(r"\\")[:-1]] == [
        "plain",
        "aw",
        "se",
        "aa",
        "cbam",
        "eca",
    ]
    assert text.count(r"\textbf{") == 1
    assert r"\textbf{27.30 $\pm$" in text
    assert "\n  Warning: Cells that lack runs: 1 of 5." in text
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("R&D 50% #1 $x$ {y}", r"R\&D 50\% \#1 \$x\$ \{y\}"),
        ("a_b^c~d", r"a\_b\textasciicircum{}c\textasciitilde{}d"),
        ("\\end{table}", r"\textbackslash{}end\{table\}"),
        ("[x] *y*", r"{[}x{]} {*}y{*}"),
        ("<a|b>", r"\textless{}a\textbar{}b\textgreater{}"),
        ("a-b--c---d", "a-b-{}-c-{}-{}-d"),
        ("3\u00d73 r\u00e9sum\u00e9", "3$\\times$3 r\u00e9sum\u00e9"),
        ("\u03b1\u0142", "{[}U+03B1{]}{[}U+0142{]}"),
        ("a\x00b\u202ec", "a{[}U+FFFD{]}b{[}U+FFFD{]}c"),
    ],
)
def test_latex_escapes(results: Results, name: str, latex: str) -> None:
    assert f"\\caption{{{latex}: test/" in as_latex(replace(results, title=name))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=20))
def test_latex_of_any_title_is_balanced_and_of_known_characters(title: str) -> None:
    comparison = compare({"a": {0: 1.0}}, baseline="a", seeds=[0], direction="min")
    text = as_latex(Results(title, "test/loss", comparison))
    assert all(character < "\u0100" for character in text)
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("&") == 2 * 5
    assert len([line for line in text.splitlines() if line.endswith("\\\\")]) == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(results: Results, tmp_path: Path) -> None:
    tables = "\n".join([as_latex(results), as_latex(wicked(WICKED))])
    source = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "tables.tex").write_text(f"{source}{tables}\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "tables.pdf").is_file()


def test_csv_has_a_line_per_cell_and_full_numbers(results: Results) -> None:
    plain, aw, _, _, cbam, eca = csv.DictReader(io.StringIO(as_csv(results)))
    difference = results.comparison[aw["cell"]].difference
    assert difference is not None
    assert float(aw["difference.holm_p"]) == difference.holm_p
    assert float(aw["by_seed.3"]) == results.comparison[aw["cell"]].by_seed[3]
    assert (aw["labels.attention"], aw["labels.f2"], aw["verdict"]) == ("aw", "residual", "better")
    assert (plain["published"], plain["difference.mean"], plain["missing"]) == ("28.01", "", "")
    assert (cbam["missing"], cbam["n"]) == ("2: diverged; 3: not finished", "6")
    assert (eca["same_as"], eca["mean"]) == ("attention=plain,f2=residual", "")


def test_csv_and_json_give_names_back_unchanged() -> None:
    results = wicked(WICKED)
    rows = list(csv.DictReader(io.StringIO(as_csv(results), newline="")))
    assert [row["cell"] for row in rows] == WICKED
    assert [cell["cell"] for cell in json.loads(as_json(results))["cells"]] == WICKED


def test_json_is_the_document(results: Results) -> None:
    assert json.loads(as_json(results)) == document(results)


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("runs", [{}, {0: 28.0}, {0: float("nan")}])
def test_studies_with_hardly_a_run(name: str, runs: dict[int, float]) -> None:
    study = {"base": runs, "cell": {}}
    comparison = compare(study, baseline="base", seeds=range(3), direction="min")
    text = FORMATS[name](Results("early", "test/top1_error", comparison))
    assert "cell" in text
    assert "nan" not in text.lower()
