import json

import pytest

from awlab.plan import plan
from awlab.plan.networks import SAME_NETWORK, Network, merge_equal, recall, remember
from awlab.record.study_directory import StudyDirectory

SMALL, SAME, LARGE = Network(10, 0.1, "a"), Network(10, 0.1, "a"), Network(20, 0.2, "b")


@pytest.fixture
def rates(study):
    """Three cells, two of which are said to be the same network."""
    axis = {"path": "training.optimizer.lr", "values": {"x": 0.1, "y": 0.2, "z": 0.3}}
    ablation = study(axes={"rate": axis}, baseline="x")
    return plan(ablation), {"x": SMALL, "y": SAME, "z": LARGE}


def test_cells_of_one_meaning_share_runs(rates):
    planned, networks = rates
    merged = merge_equal(planned, networks)
    assert [cell.same_as for cell in merged.cells] == [None, "x", None]
    assert merged["y"].runs == planned["x"].runs
    assert merged["y"].notes == (f"{SAME_NETWORK} as x",)


def test_the_cell_that_is_furthest_stands_for_the_others(rates):
    planned, networks = rates
    run = planned["y"].runs[0]
    run.directory.create(run.experiment)
    run.directory.result.write_text("{}")
    merged = merge_equal(plan(planned.ablation), networks)
    assert [cell.same_as for cell in merged.cells] == ["y", None, None]


def test_cells_that_nobody_has_built_stay_alone(rates):
    planned, _ = rates
    assert merge_equal(planned, {"x": SMALL}) == planned


def test_what_is_remembered_is_recalled_also_when_the_study_has_grown(rates, study):
    planned, networks = rates
    assert recall(planned) == {}
    remember(planned, networks)
    assert recall(plan(planned.ablation)) == networks
    axis = {"path": "training.optimizer.lr", "values": {"z": 0.3, "x": 0.1, "new": 0.4}}
    grown = plan(study(axes={"rate": axis}, baseline="x", seeds=3))
    assert recall(grown) == {"z": LARGE, "x": SMALL}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"awlab": "0.0.0", "networks": {}}', '{"networks": {}}', "\x00"]
)
def test_a_damaged_or_foreign_file_is_as_good_as_none(rates, text):
    planned, networks = rates
    remember(planned, networks)
    file = StudyDirectory.of(planned.ablation).networks
    stored = json.loads(file.read_text())["networks"]
    if "0.0.0" in text:
        text = json.dumps({"awlab": "0.0.0", "networks": stored})
    file.write_text(text)
    assert recall(planned) == {}
