from io import StringIO

import pytest
from rich.console import Console

from awlab.report.results import Results
from awlab.report.results_view import show_results


def shown(results: Results, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    show_results(console, results)
    assert isinstance(console.file, StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    return lines


def test_a_sentence_the_table_and_how_to_read_it(results: Results) -> None:
    lines = shown(results, 200)
    assert lines[0].startswith("aw is better than plain: it lowers")
    table = lines.index(next(line for line in lines if line.startswith("attention  ")))
    assert lines[table - 1].startswith("attention: test/top1_error in %, lower is better.")
    assert "peak memory" in lines[table]
    assert [line.split()[0] for line in lines[table + 1 : table + 7]] == [
        "plain", "aw", "se", "aa", "cbam", "eca",
    ]  # fmt: skip
    assert any(line.startswith("Warning: Cells that lack runs: 1 of 5.") for line in lines)


@pytest.mark.parametrize("width", [80, 90])
def test_on_a_narrow_terminal_costs_are_left_to_the_page(results: Results, width: int) -> None:
    lines = shown(results, width)
    header = next(line for line in lines if line.startswith("attention  "))
    assert header.split() == [
        "attention", "n", "test/top1_error", "difference", "(pp)", "p", "(Holm)", "verdict",
    ]  # fmt: skip
    assert not [line for line in lines if "\u2026" in line]
