import pytest

from awlab.execute.reopen import REPLACED, reopen
from awlab.plan import Plan, Run, plan
from awlab.record.claim import claim
from awlab.spec.errors import InputError


@pytest.fixture
def failed(tiny_plan: Plan) -> Run:
    run = tiny_plan.runs[0]
    run.directory.create(run.experiment)
    run.directory.fail("error", "a story")
    run.directory.checkpoints.mkdir()
    run.directory.last_checkpoint.write_text("weights")
    return run


def test_a_failure_is_forgiven_and_what_was_done_is_kept(failed: Run) -> None:
    reopen([failed])
    assert failed.directory.state == "interrupted"
    assert failed.directory.last_checkpoint.read_text() == "weights"


def test_runs_that_begin_anew_are_put_aside_and_never_deleted(failed: Run, tiny_plan: Plan) -> None:
    for number in (1, 2):
        failed.directory.create(failed.experiment)
        failed.directory.result.write_text(f"result {number}")
        reopen([failed, tiny_plan.runs[1]], anew=True)  # The other one has never begun.
        assert failed.directory.state == "missing"
        aside = failed.path.parent / REPLACED / f"{failed.path.name}.{number}"
        assert (aside / "result.json").read_text() == f"result {number}"
    assert plan(tiny_plan.ablation).states == {"missing": len(tiny_plan.runs)}


def test_a_run_that_is_being_executed_is_left_alone(failed: Run, tiny_plan: Plan) -> None:
    other = tiny_plan.runs[1]
    other.directory.create(other.experiment)
    with (
        claim(other.path),
        pytest.raises(InputError, match=r"is being executed by process \d+ on .* put aside"),
    ):
        reopen([failed, other], anew=True)
    assert failed.path.exists()
