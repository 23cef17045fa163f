"""Tables of results in formats for readers (Markdown, LaTeX) and programs (CSV, JSON).

The first are rounded and explained, the others have every number in full. None leaves out a cell.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from awlab.report import wording
from awlab.report.grid import Entry, grid
from awlab.report.records import document, records
from awlab.report.results import Results

MARKDOWN_SPECIAL = re.compile(r"([\\`*|~$\[\]]|(?<!\w)_|_(?!\w))")
LATEX_SPECIAL = re.compile(r"-(?=-)|[^ !'()+,\-./0-9:;=?@A-Za-z]")
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "-": "-{}",
    "`": "{`}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    # after the \\ that ends a row, a bare one would be its argument
    **{character: f"{{{character}}}" for character in "[]*"},
    wording.PLUS_MINUS: r"$\pm$",
    wording.MINUS: "$-$",
    wording.AT_LEAST: r"$\geq$",
    wording.NOTHING: "--",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
}


def as_markdown(results: Results) -> str:
    """GitHub's Markdown: caption, table, warnings, notes."""
    table = grid(results)
    rule = [":--" if alignment == "left" else "--:" for alignment in table.alignments]
    rows = [[_markdown_entry(entry) for entry in row] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in [[*map(_markdown, table.header)], rule, *rows]]
    remarks = [f"- Warning: {_markdown(text)}" for text in table.warnings]
    remarks += [f"- {_markdown(text)}" for text in table.notes]
    return "\n".join([f"Table: {_markdown(table.caption)}", "", *lines, "", *remarks, ""])


def as_latex(results: Results) -> str:
    """A `table` environment that needs the package booktabs and nothing else.

    Letters beyond Latin-1, which pdflatex would not print, are spelled as in [U+03B1].
    """
    table = grid(results)
    columns = "".join(alignment[0] for alignment in table.alignments)
    remarks = [f"Warning: {text}" for text in table.warnings] + list(table.notes)
    return "\n".join(
        [
            "% \\usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
            f"  \\caption{{{_latex(table.caption)}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            _latex_row(map(_latex, table.header)),
            r"    \midrule",
            *(_latex_row(map(_latex_entry, row)) for row in table.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"  \raggedright",
            *(f"\n  {_latex(text)}" for text in remarks),
            r"\end{table}",
            "",
        ]
    )


def as_csv(results: Results) -> str:
    """A line per cell, under a header that depends on the axes and seeds of the study alone."""
    rows = [_flat({**record, "missing": _listed(record["missing"])}) for record in records(results)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(results: Results) -> str:
    """One document."""
    return json.dumps(document(results), indent=2, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Results], str]] = {
    "md": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}


def _one_line(text: str) -> str:
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in " ".join(text.split())
    )


def _markdown(text: str) -> str:
    escaped = MARKDOWN_SPECIAL.sub(r"\\\1", _one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown_entry(entry: Entry) -> str:
    return f"**{_markdown(entry.text)}**" if entry.bold else _markdown(entry.text)


def _latex(text: str) -> str:
    return LATEX_SPECIAL.sub(lambda match: _latex_character(match[0]), _one_line(text))


def _latex_character(character: str) -> str:
    if character in LATEX:
        return LATEX[character]
    if "\u00c0" <= character <= "\u00ff" and character not in "\u00d0\u00f0\u00de\u00fe\u00f7":
        return character  # the default encoding has no eth and no thorn
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _latex_entry(entry: Entry) -> str:
    return f"\\textbf{{{_latex(entry.text)}}}" if entry.bold else _latex(entry.text)


def _latex_row(texts: Iterable[str]) -> str:
    return f"    {' & '.join(texts)} \\\\"


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _listed(missing: Mapping[str, str]) -> str:
    return "; ".join(f"{seed}: {reason}" for seed, reason in missing.items())
