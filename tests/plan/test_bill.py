import math

import pytest

from awlab.plan import plan
from awlab.plan.bill import Estimate, bill, power
from awlab.record.record import Epoch, Result, write_result

EPOCH = Epoch(0, {"val/top1_error": 30.0})


def finish(run, *, error=25.0, seconds=60.0):
    run.directory.create(run.experiment)
    result = Result(
        id=run.id,
        name=run.experiment.name,
        metrics={"test/top1_error": error},
        tested_epoch=0,
        last=EPOCH,
        best=EPOCH,
        epochs=1,
        steps=10,
        parameters=1000,
        gmacs=0.1,
        seconds=seconds,
        images_per_second=10.0,
        peak_memory_bytes=1,
        attempts=1,
    )
    write_result(run.directory, result)


def test_nothing_is_estimated_before_a_run_has_finished(study):
    cost = bill(plan(study()))
    assert (cost.runs, cost.states, cost.measured) == (12, {"missing": 12}, 0)
    assert cost.run_hours_left is None
    assert cost.bytes_left is None


def test_unfinished_runs_take_as_long_as_those_of_their_cell_or_of_the_study(study):
    planned = plan(study())
    finish(planned["f2=residual,r=8"].runs[0], seconds=3600.0)
    finish(planned["f2=residual,r=16"].runs[0], seconds=7200.0)
    cost = bill(plan(study()))
    assert cost.states == {"finished": 2, "missing": 10}
    assert cost.run_hours_left == pytest.approx(1 + 2 + 8 * 1.5)
    assert cost.measured == 2


def test_disk_is_that_of_the_finished_runs(study):
    run = plan(study()).runs[0]
    finish(run)
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / "last.ckpt").write_bytes(bytes(10**6))
    left = bill(plan(study())).bytes_left
    assert left is not None
    assert left == pytest.approx(11 * 10**6, rel=0.05)


def test_measured_steps_stand_in_for_finished_runs(study):
    planned = plan(study())
    own, other = "f2=residual,r=8", "f2=residual,r=16"
    estimates = {cell.name: Estimate(seconds=1800.0, bytes=10**6) for cell in planned.cells}
    before = bill(planned, estimates)
    assert (before.measured, before.estimated) == (0, 6)
    assert before.run_hours_left == pytest.approx(12 * 0.5)
    assert before.bytes_left == 12 * 10**6
    finish(planned[own].runs[0], seconds=3600.0)
    after = bill(plan(study()), {other: estimates[other]})
    assert after.run_hours_left == pytest.approx(1 + 2 * 0.5 + 8 * 1)
    assert after.bytes_left is not None
    assert after.bytes_left < 10**6, "the size of a finished run is the better guide"


def test_a_damaged_result_is_left_out(study):
    run = plan(study()).runs[0]
    finish(run)
    run.directory.result.write_text("{")
    assert bill(plan(study())).measured == 0


@pytest.mark.parametrize(
    ("seeds", "smallest", "survive"), [(3, 0.25, 0), (5, 0.0625, 0), (6, 0.03125, 1), (8, 2**-7, 6)]
)
def test_power_is_said_before_anything_has_run(study, seeds, smallest, survive):
    facts = power(plan(study(seeds=seeds)))
    assert (facts.seeds, facts.comparisons) == (seeds, 5)
    assert facts.smallest_p == pytest.approx(smallest)
    assert facts.can_survive == survive
    assert facts.seeds_needed == 8
    assert facts.sd is None
    assert facts.smallest_difference is None


def test_a_given_sd_tells_the_smallest_difference(study):
    axes = {"r": {"path": "model.conv.reduction", "values": [8, 16]}}
    facts = power(plan(study(axes=axes, baseline=16, seeds=8)), sd=0.3)
    assert facts.comparisons == 1
    # One comparison, eight seeds, sd 0.3: 0.34 to 0.36 by a paired t test at 4.7 %.
    assert facts.smallest_difference == pytest.approx(0.35, abs=0.015)


def test_the_sd_is_pooled_over_finished_pairs(study):
    planned = plan(study(seeds=3))
    errors = {
        "f2=residual,r=16": [20.0, 21.0, 22.0],
        "f2=residual,r=8": [21.0, 21.0, 22.0],  # differences 1, 0, 0: variance 1/3, 2 degrees
        "f2=product,r=8": [22.0, 21.0],  # differences 2, 0: variance 2, 1 degree
        "f2=product,r=32": [30.0],
    }
    for cell, values in errors.items():
        for run, error in zip(planned[cell].runs, values, strict=False):
            finish(run, error=error)
    facts = power(plan(study(seeds=3)))
    assert facts.sd == pytest.approx(math.sqrt((1 / 3 * 2 + 2) / 3))


def test_the_sd_is_that_of_differences_within_families(study):
    changes = {"seeds": 3, "other_baselines": {"f2=product,r=16": ["f2=product,r=8"]}}
    planned = plan(study(**changes))
    errors = {
        "f2=residual,r=16": [20, 40, 70],
        "f2=product,r=16": [20, 21, 22],
        "f2=product,r=8": [21, 21, 22],
    }
    for cell, values in errors.items():
        for run, error in zip(planned[cell].runs, values, strict=True):
            finish(run, error=error)
    assert power(plan(study(**changes))).sd == pytest.approx(math.sqrt(1 / 3))


def test_the_metric_may_be_of_the_validation(study):
    ablation = study(metric={"name": "val/top1_error"})
    for run in plan(ablation).runs:
        finish(run)
    assert power(plan(ablation)).sd == 0.0


def test_bill_and_power_are_plain_data(study):
    planned = plan(study())
    assert bill(planned).to_json()["states"] == {"missing": 12}
    assert power(planned).to_json()["comparisons"] == 5
