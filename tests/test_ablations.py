"""The ablations that are shipped: each is planned and built."""

from pathlib import Path

import pytest
import torch

from awlab import build
from awlab.fingerprint import fingerprint
from awlab.plan import plan, read_ablation
from awlab.plan.bill import power
from awlab.preflight import preflight
from awlab.spec.load import load_experiment

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "ablations").glob("*.yaml"))
CELLS = {  # file: cells, seeds, baseline
    "aw_aa": (5, 8, "AA"),
    "depths": (10, 8, "depth=50,conv=plain"),
    "expand_dims": (10, 9, "expand=c1,f2=residual"),
    "paper_table1": (17, 10, "ResNet50"),
    "paper_table2": (11, 9, "ResNet50"),
    "paper_table3": (6, 8, "ResNet101-FPN"),
    "quickstart": (4, 3, "conv=plain,attention=none"),
    "reduction": (7, 8, "r=16,r_c1=C1"),
    "ssd300_voc": (8, 9, "SSD300"),
    "stages": (6, 8, "none"),
}
EXCLUDED = {"expand_dims": {"expand=n,f2=product"}}
MISPRINTED = {  # parameters that no rule gives together with those of the ResNet50 rows; ours, in M
    "AW-ResNet101": 44.86,
    "AW-SE-ResNet101": 49.64,
    "AW-CBAM-ResNet101-MaxPool": 49.64,
    "AW-CBAM-ResNet101-Spatial": 49.64,
}
EXTRA_PARAMETERS = {  # paper facts: over plain ResNet50, counted layer by layer
    "reduction": {
        "r=4,r_c1=C1": 638_176,
        "r=8,r_c1=C1": 322_864,
        "r=16,r_c1=C1": 165_208,
        "r=32,r_c1=C1": 86_380,
        "r=16,r_c1=half": 251_352,
        "r=16,r_c1=quarter": 423_640,
        "r=16,r_c1=eighth": 768_216,
    },
    "stages": {"none": 0, "1": 1_944, "2": 9_280, "3": 52_416, "4": 101_568, "all": 165_208},
}
RESNET50 = 23_705_252


@pytest.fixture(scope="module", autouse=True)
def _empty_folder(tmp_path_factory):
    """The plan looks for runs below the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        yield


def planned(name):
    return plan(*read_ablation(ROOT / "ablations" / f"{name}.yaml"))


def run_cells(name):
    return [cell for cell in planned(name).cells if cell.excluded is None]


def built(cell):
    with torch.device("meta"):
        return build.network(cell.runs[0].experiment)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_no_file_is_forgotten():
    assert {file.stem for file in FILES} == set(CELLS)


@pytest.mark.parametrize("name", CELLS)
def test_the_cells_are_these(name):
    study = planned(name)
    assert (len(study.cells), len(study.ablation.seed_values), study.baseline) == CELLS[name]
    assert study.ablation.name == name
    excluded = {cell.name for cell in study.cells if cell.excluded}
    assert excluded == EXCLUDED.get(name, set())
    assert len(study.runs) == len(run_cells(name)) * len(study.ablation.seed_values)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_builds_a_network_of_its_own(name):
    networks = [built(cell) for cell in run_cells(name)]
    assert len({fingerprint(network) for network in networks}) == len(networks)


@pytest.mark.parametrize("name", CELLS)
def test_printed_parameters_are_met(name):
    for cell in run_cells(name):
        paper = cell.runs[0].experiment.paper
        if paper is not None and paper.parameters_m is not None:
            ours = round(parameters(built(cell)) / 1e6, 2)
            assert ours == MISPRINTED.get(cell.name, paper.parameters_m)
            assert (ours != paper.parameters_m) == (cell.name in MISPRINTED)
            assert cell.name not in MISPRINTED or "0.40 M to ResNet101" in (paper.note or "")


@pytest.mark.parametrize("name", EXTRA_PARAMETERS)
def test_parameters_are_those_counted_by_hand(name):
    study = planned(name)
    for cell, extra in EXTRA_PARAMETERS[name].items():
        assert parameters(built(study[cell])) == RESNET50 + extra


def test_the_quickstart_is_that_of_one_run_made_shorter():
    alone = load_experiment(ROOT / "experiments" / "quickstart.yaml")
    cell = planned("quickstart")["conv=aw,attention=none"].runs[0].experiment
    assert cell.training.epochs < alone.training.epochs
    training = cell.training.model_copy(update={"epochs": alone.training.epochs})
    assert cell.model_copy(update={"training": training}).id == alone.id


@pytest.fixture(scope="module")
def shipped():
    """What the paper prints, by the id of each experiment."""
    files = (ROOT / "experiments").glob("*.yaml")
    return {experiment.id: experiment.paper for experiment in map(load_experiment, files)}


@pytest.mark.parametrize("name", ["paper_table1", "paper_table2", "paper_table3"])
def test_rows_of_the_paper_are_the_experiments_that_are_shipped(name, shipped):
    for cell in planned(name).cells:
        first = cell.runs[0]
        assert first.experiment.seed == 0
        assert shipped[first.id] == first.experiment.paper


def test_studies_share_runs_with_table_2():
    rows = {cell.runs[0].id for cell in planned("paper_table2").cells}
    shared = {"aw_aa": 5, "depths": 2, "stages": 2, "reduction": 1, "expand_dims": 1}
    for name, cells in shared.items():
        ids = {run.id for run in planned(name).runs} & rows
        assert len(ids) == cells, name


@pytest.mark.parametrize("name", sorted(CELLS.keys() - {"quickstart"}))
def test_the_seeds_are_as_many_as_the_comparisons_need(name):
    facts = power(planned(name))
    assert facts.seeds == facts.seeds_needed


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("depths", ["depth=18,", "depth=34,", "depth=101,", "depth=152,"]),
        ("paper_table1", ["ResNet101", "MobileNet"]),
        ("paper_table2", ["AA"]),
    ],
)
def test_rows_are_compared_within_their_family(name, families):
    study = planned(name)
    for cell in study.compared:
        reference = study.references.get(cell.name, study.baseline)
        assert [family in cell.name for family in families] == [
            family in reference for family in families
        ]
    assert len(study.baselines) == len(families) + 1


def test_table_3_costs_what_was_counted_by_hand():
    """Over ResNet101-FPN: AW-convolutions 80,000 + 34,944, SE 700,400 + 33,856 parameters."""
    profiles = preflight(planned("paper_table3")).profiles
    plain = profiles["ResNet101-FPN"].total
    assert plain.parameters == 60_643_940  # of 80 classes, frozen norms not counted
    added = {name: one.total.parameters - plain.parameters for name, one in profiles.items()}
    assert added == {
        "ResNet101-FPN": 0,
        "ResNet101-AW-FPN": 114_944,
        "ResNet101-SE-FPN": 734_256,
        "ResNet101-AW-SE-FPN": 849_200,
        "ResNet101-CBAM-FPN": 735_056,
        "ResNet101-AW-CBAM-FPN": 850_000,
    }
    assert plain.macs == pytest.approx(295.48e9, rel=1e-4)  # 800 x 1344 pixels, 1,000 proposals
    assert [len(one.aw_convolutions) for one in profiles.values()] == [0, 8, 0, 8, 0, 8]


def test_a_study_goes_through_preflight():
    study = preflight(planned("aw_aa"))
    assert {cell.same_as for cell in study.plan.cells} == {None}
    assert study.profiles["AA"].total.parameters == 8_434_652


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_every_study_goes_through_preflight(name):
    study = preflight(planned(name))
    assert {cell.same_as for cell in study.plan.cells} == {None}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_opens_with_its_command(file):
    opening = file.read_text().partition("name:")[0]
    assert f"# Run: awlab ablate ablations/{file.name}" in opening
    assert all(line.startswith("# ") for line in opening.splitlines())
