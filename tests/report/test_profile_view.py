import json
from dataclasses import dataclass
from io import StringIO

import pytest
from rich.console import Console

from awlab.report.profile_view import cell_rows, show_cells, show_profile


@dataclass
class Part:
    name: str = "total"
    parameters: int = 1000
    macs: int = 2_000_000
    torch_macs: int = 3_000_000


@dataclass
class Profile:
    parts: tuple[Part, ...]
    total: Part
    aw_convolutions: tuple[str, ...] = ()


@dataclass
class Comparison:
    quantity: str
    ours: float
    printed: float
    decimals: int = 2
    verdict: str = "match"
    note: str | None = None


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=80, color_system=None, highlight=False)


def text(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert max(map(len, printed.splitlines()), default=0) <= 80
    return printed


def study(notes: dict[str, str | None]) -> list[dict[str, object]]:
    """A study with a network per note, whose MACs differ from those printed if there is one."""
    total = Part(parameters=49_643_892, macs=7_645_292_030)
    profiles = {name: Profile((), total) for name in notes}
    comparisons = {
        name: (
            Comparison("parameters_m", 49.643892, 49.64),
            Comparison("gmacs", 7.64529203, 7.61, 2, "differs" if note else "match", note),
        )
        for name, note in notes.items()
        if note != "not printed"
    }
    return cell_rows(profiles, comparisons)


def test_a_profile_beside_printed_numbers(console: Console) -> None:
    comparisons = [
        Comparison("parameters_m", 8.4346, 8.43),
        Comparison("gmacs", 1.16, 3.89, verdict="differs", note="why"),
    ]
    counted = Profile((Part("layer1"),), Part())
    show_profile(console, counted, comparisons, "Table 2, row 1")
    printed = text(console)
    assert "layer1       1,000  0.0020          0.0060" in printed
    assert "beside Table 2, row 1" in printed
    assert "8.43 M parameters, printed 8.43: match\n" in printed
    assert "1.16 GMACs, printed 3.89: differs (why)" in printed


def test_a_profile_alone(console: Console) -> None:
    show_profile(console, Profile((), Part()), [], None)
    assert "beside" not in text(console)
    assert "AW-convolutions" not in text(console)


def test_a_profile_names_its_aw_convolutions(console: Console) -> None:
    show_profile(console, Profile((), Part(), ("0.conv1", "[1].conv2")), [], None)
    assert "\n2 AW-convolutions: 0.conv1, [1].conv2\n" in text(console)


def test_a_source_that_prints_nothing(console: Console) -> None:
    show_profile(console, Profile((), Part()), [], "Table 3, row 1")
    assert "Table 3, row 1 prints neither" in text(console)


def test_cells_alone(console: Console) -> None:
    show_cells(console, study({"plain": None, "aw": "why"}), beside_paper=False)
    lines = text(console).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["plain", "49,643,892", "7.6453", "0.0060"],
        ["aw", "49,643,892", "7.6453", "0.0060"],
    ]


def test_cells_beside_printed_numbers_with_each_note_once(console: Console) -> None:
    notes = {"plain": None, "aw": "first", "se": "first", "cbam": "second", "own": "not printed"}
    show_cells(console, study(notes), beside_paper=True)
    lines = [line.split() for line in text(console).splitlines()]
    ours = ["49.64", "49.64", "match", "7.6453", "7.61"]
    assert lines[2:] == [
        ["plain", *ours, "match"],
        ["aw", *ours, "differs", "[1]"],
        ["se", *ours, "differs", "[1]"],
        ["cbam", *ours, "differs", "[2]"],
        ["own", "49.64", "7.6453"],
        [],
        ["5", "of", "8", "printed", "numbers", "are", "met"],
        ["[1]", "first"],
        ["[2]", "second"],
    ]


def test_the_longest_names_of_the_paper_keep_their_line(console: Console) -> None:
    names = ["AW-CBAM-ResNet101-MaxPool", "AW-CBAM-MobileNet-Spatial"]
    show_cells(console, study(dict.fromkeys(names, "why")), beside_paper=True)
    lines = text(console).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == names


def test_rows_are_plain_data() -> None:
    row = json.loads(json.dumps(study({"aw": "why"})))[0]
    assert row["cell"] == "aw"
    assert (row["parameters"], row["macs"], row["torch_macs"]) == (
        49_643_892,
        7_645_292_030,
        3_000_000,
    )
    assert [found["verdict"] for found in row["paper"]] == ["match", "differs"]
    assert row["paper"][1]["note"] == "why"
