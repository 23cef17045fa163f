import math

import pytest

from awlab.report.results import CellFacts, Results
from awlab.statistics import compare

SHIFTS = {"plain": [0.0] * 8, "aw": [-1.0, -1.1] * 4, "se": [0.3, -0.2] * 4, "aa": [1.0, 1.1] * 4}


@pytest.fixture
def results() -> Results:
    """Eight seeds: aw is better, aa worse, se unclear, cbam lacks two runs, eca is plain again."""
    runs: dict[str, dict[int, float | None]] = {
        f"attention={name},f2=residual": {s: 28 + 0.1 * s + d for s, d in enumerate(shift)}
        for name, shift in SHIFTS.items()
    }
    runs["attention=cbam,f2=residual"] = {
        0: 27.0,
        1: 27.2,
        2: math.nan,
        4: 27.1,
        5: 27,
        6: 27,
        7: 27,
    }
    names = [*runs, "attention=eca,f2=residual"]
    return Results(
        title="attention",
        metric="test/top1_error",
        comparison=compare(runs, baseline=names[0], seeds=range(8), direction="min"),
        labels={name: dict(pair.split("=") for pair in name.split(",")) for name in names},
        facts={
            names[0]: CellFacts(8_434_652, 1.164, 0.125, 3 * 2**20, published=28.01),
            names[1]: CellFacts(8_504_232, 1.165, 0.25, 4 * 2**20, published=26.14),
        },
        same_as={names[-1]: names[0]},
    )
