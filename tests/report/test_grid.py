from dataclasses import replace

import pytest

from awlab.report.grid import grid
from awlab.report.results import CellFacts, Results

PLUS_MINUS, MINUS, NOTHING = "\N{PLUS-MINUS SIGN}", "\N{MINUS SIGN}", "\N{EN DASH}"


def column(results: Results, title: str) -> list[str]:
    table = grid(results)
    index = table.header.index(title)
    return [row[index].text for row in table.rows]


def test_every_cell_has_a_row_in_the_order_of_the_study(results: Results) -> None:
    assert column(results, "attention") == ["plain", "aw", "se", "aa", "cbam", "eca"]
    assert column(results, "n") == ["8", "8", "8", "8", "6/8", NOTHING]


def test_header_and_alignment(results: Results) -> None:
    table = grid(results)
    assert table.header == (
        "attention",
        "n",
        "test/top1_error",
        "difference (pp)",
        "p (Holm)",
        "verdict",
        "paper",
        "paper's difference",
        "parameters (M)",
        "GMACs",
        "step (ms)",
        "peak memory (MiB)",
    )
    left = [t for t, a in zip(table.header, table.alignments, strict=True) if a == "left"]
    assert left == ["attention", "verdict"]
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_what_all_cells_share_stands_in_the_caption(results: Results) -> None:
    assert grid(results).caption == (
        "attention: test/top1_error in %, lower is better. All cells: f2=residual."
    )
    assert "f2" not in grid(results).header


def test_caption_of_another_metric(results: Results) -> None:
    comparison = replace(results.comparison, direction="max")
    other = replace(results, metric="test/mean_precision", comparison=comparison, labels={})
    assert grid(other).caption == "attention: test/mean_precision, higher is better."
    assert "difference" in grid(other).header
    assert grid(other).header[0] == "cell"


def test_measured_texts(results: Results) -> None:
    assert column(results, "difference (pp)")[:2] == [NOTHING, f"{MINUS}1.05 {PLUS_MINUS} 0.04"]
    assert column(results, "p (Holm)") == [NOTHING, "0.0312", "1", "0.0312", NOTHING, NOTHING]


def test_published_numbers(results: Results) -> None:
    assert column(results, "paper")[:3] == ["28.01", "26.14", NOTHING]
    assert column(results, "paper's difference")[:3] == [NOTHING, f"{MINUS}1.87", NOTHING]


def test_costs(results: Results) -> None:
    assert column(results, "parameters (M)")[:3] == ["8.435", "8.504", NOTHING]
    assert column(results, "GMACs")[0] == "1.164"
    assert column(results, "step (ms)")[:2] == ["125.0", "250.0"]
    assert column(results, "peak memory (MiB)")[:2] == ["3.000", "4.000"]


@pytest.mark.parametrize(
    ("gmacs", "text"), [(0.18, "0.1800"), (0.00913, "0.009130"), (12345.6, "12346"), (0.0, "0.000")]
)
def test_numbers_of_a_column_have_as_many_digits(results: Results, gmacs: float, text: str) -> None:
    facts = {results.comparison.baseline: CellFacts(gmacs=gmacs)}
    assert column(replace(results, facts=facts), "GMACs")[0] == text


def test_facts_that_no_cell_has_get_no_column(results: Results) -> None:
    baseline = results.comparison.baseline
    table = grid(replace(results, facts={baseline: CellFacts(gmacs=1.0)}))
    assert table.header[-2:] == ("verdict", "GMACs")


def test_only_what_is_shown_to_be_better_is_bold(results: Results) -> None:
    table = grid(results)
    bold = [
        (table.header[i], row[0].text) for row in table.rows for i, e in enumerate(row) if e.bold
    ]
    assert bold == [("test/top1_error", "aw")]


def test_the_lowest_mean_is_not_bold_when_nothing_is_shown(results: Results) -> None:
    few = replace(results.comparison["attention=aw,f2=residual"], difference=None)
    cells = tuple(few if cell.name == few.name else cell for cell in results.comparison.cells)
    table = grid(replace(results, comparison=replace(results.comparison, cells=cells)))
    assert not any(entry.bold for row in table.rows for entry in row)


def test_warnings_and_notes_are_kept(results: Results) -> None:
    assert len(grid(results).warnings) == 1
    assert len(grid(results).notes) == 4
