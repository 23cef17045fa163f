import json

import pytest

from awlab.report.records import document, records
from awlab.report.results import Results


def test_document_holds_the_study(results: Results) -> None:
    whole = document(results)
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert whole["seeds"] == list(range(8))
    assert (whole["unit"], whole["direction"], whole["comparisons"]) == ("percent", "min", 4)
    assert whole["warnings"] == ["Cells that lack runs: 1 of 5. Comparisons not tested: 1 of 4."]
    assert [cell["cell"] for cell in whole["cells"]] == [cell.name for cell in results.cells]


def test_all_cells_have_the_same_keys(results: Results) -> None:
    first, *others = records(results)
    for other in others:
        assert list(other) == list(first)
        assert list(other["difference"]) == list(first["difference"])


def test_numbers_of_a_tested_cell(results: Results) -> None:
    plain, aw, *_ = records(results)
    difference = results.comparison[aw["cell"]].difference
    assert difference is not None
    assert aw["verdict"] == "better"
    assert aw["by_seed"]["1"] - plain["by_seed"]["1"] == pytest.approx(-1.1)
    assert aw["difference"]["mean"] == pytest.approx(-1.05)
    assert aw["difference"]["by_seed"]["1"] == pytest.approx(-1.1)
    assert (aw["low"], aw["high"]) == results.comparison[aw["cell"]].sample.interval
    assert aw["difference"]["holm_p"] == 4 * aw["difference"]["sign_flip_p"] == 4 / 128
    assert aw["difference"]["could_see"] == difference.could_see
    assert (aw["parameters"], aw["published"]) == (8_504_232, 26.14)
    assert aw["published_difference"] == pytest.approx(-1.87)


def test_a_cell_that_lacks_runs_says_which_and_has_no_difference(results: Results) -> None:
    cbam = records(results)[4]
    assert cbam["missing"] == {"2": "diverged", "3": "not finished"}
    assert (cbam["n"], cbam["by_seed"]["2"], cbam["by_seed"]["4"]) == (6, None, 27.1)
    assert cbam["verdict"] is None
    assert cbam["difference"]["mean"] is None
    assert cbam["difference"]["holm_p"] is None


def test_a_cell_that_another_one_stands_for(results: Results) -> None:
    eca = records(results)[-1]
    assert eca["same_as"] == "attention=plain,f2=residual"
    assert (eca["n"], eca["mean"], eca["missing"]) == (0, None, {})
