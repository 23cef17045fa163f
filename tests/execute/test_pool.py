import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest

from awlab.execute import pool as module
from awlab.execute.child import Child
from awlab.execute.devices import Devices, Share
from awlab.execute.outcome import Outcome
from awlab.execute.pool import Ended, Event, Pool, Started
from awlab.record.claim import claim
from awlab.record.run_directory import RunDirectory
from awlab.spec import Experiment


class Script(Child):
    """A real child process that does what a line of Python says, in place of a training."""

    started: list["Script"] = []  # noqa: RUF012 reset by the fixture

    def __init__(self, code: str, arguments: Sequence[str], share: Share) -> None:
        folder = Path(arguments[1]).parent
        preamble = (
            "import os, signal, sys, time\nfrom pathlib import Path\n"
            f"run = Path({str(folder)!r})\nattempt = len(list(run.glob('attempt-*')))\n"
            "(run / f'attempt-{attempt}').touch()\n"
            "def finish(): (run / 'result.json').write_text('{}')\n"
            "def checkpoint():\n"
            "    (run / 'checkpoints').mkdir(exist_ok=True)\n"
            "    (run / 'checkpoints' / 'last.ckpt').write_text(str(attempt))\n"
        )
        self.arguments, self.share = arguments, share
        self.process = subprocess.Popen(
            [sys.executable, "-c", preamble + code], start_new_session=True
        )
        self.pid = self.process.pid
        self.started.append(self)

    def poll(self) -> int | None:
        return self.process.poll()


@pytest.fixture(autouse=True)
def _no_child_survives() -> Iterator[None]:
    Script.started.clear()
    yield
    assert all(script.process.poll() is not None for script in Script.started)


@pytest.fixture
def experiments(tmp_path: Path) -> list[Experiment]:
    base = {
        "name": "tiny",
        "model": {"kind": "resnet"},
        "data": {"kind": "digits"},
        "training": {"epochs": 1, "batch_size": 8, "optimizer": {"kind": "sgd", "lr": 0.1}},
        "runtime": {"root": str(tmp_path / "runs")},
    }
    return [Experiment.model_validate({**base, "seed": seed}) for seed in range(4)]


def scripted(code: str) -> Callable[[Sequence[str], Share, Path], Child]:
    return lambda arguments, share, log: Script(code, arguments, share)


def ends(events: list[Event]) -> list[tuple[int, Outcome, bool]]:
    return [(e.experiment.seed, e.outcome, e.again) for e in events if isinstance(e, Ended)]


def test_all_run_once_and_never_more_at_once_than_allowed(experiments: list[Experiment]) -> None:
    devices = Devices(runs_at_once=2, cores=4)
    at_once, most = 0, 0
    finished: list[int] = []
    for event in Pool(devices, scripted("time.sleep(0.2); finish()")).execute(experiments):
        at_once += isinstance(event, Started)
        most = max(most, at_once)
        if isinstance(event, Ended):
            assert event.outcome is Outcome.FINISHED
            finished.append(event.experiment.seed)
            at_once -= 1
    assert sorted(finished) == [0, 1, 2, 3]
    assert most == 2
    assert all(script.share == Share((), 2) for script in Script.started)


def test_a_run_is_told_its_file_and_the_runtime_of_the_plan(experiments: list[Experiment]) -> None:
    list(Pool(Devices(devices_per_run=2), scripted("finish()")).execute(experiments[:1]))
    verb, file, runtime = Script.started[0].arguments
    assert verb == "run"
    assert file == str(RunDirectory.of(experiments[0]).experiment)
    assert runtime.startswith("runtime={")
    assert '"devices":2' in runtime
    assert '"accelerator":"cpu"' in runtime


def test_runs_get_disjoint_gpus(experiments: list[Experiment]) -> None:
    devices = Devices(["0", "1", "2", "3"], devices_per_run=2)
    list(Pool(devices, scripted("time.sleep(0.2); finish()")).execute(experiments))
    first, second = (script.share.devices for script in Script.started[:2])
    assert {first, second} == {("0", "1"), ("2", "3")}


@pytest.mark.fault
def test_a_killed_run_is_tried_again_a_few_times(experiments: list[Experiment]) -> None:
    code = "os.kill(os.getpid(), 9) if attempt < 1 else finish()"
    assert ends(list(Pool(Devices(), scripted(code), retries=1).execute(experiments[:1]))) == [
        (0, Outcome.KILLED, True),
        (0, Outcome.FINISHED, False),
    ]
    always = Pool(Devices(), scripted("os.kill(os.getpid(), 9)"), retries=1)
    assert ends(list(always.execute(experiments[1:2]))) == [
        (1, Outcome.KILLED, True),
        (1, Outcome.KILLED, False),
    ]


def test_a_preempted_run_goes_on_as_long_as_it_makes_progress(
    experiments: list[Experiment],
) -> None:
    code = "checkpoint()\nif attempt < 3: sys.exit(75)\nfinish()"
    outcomes = ends(list(Pool(Devices(), scripted(code), retries=0).execute(experiments[:1])))
    assert outcomes == [(0, Outcome.PREEMPTED, True)] * 3 + [(0, Outcome.FINISHED, False)]
    stuck = Pool(Devices(), scripted("sys.exit(75)"), retries=0)
    assert ends(list(stuck.execute(experiments[1:2]))) == [(1, Outcome.PREEMPTED, False)]


@pytest.mark.parametrize("kind", ["diverged", "out of memory", "error", "something new"])
def test_a_failed_run_is_not_tried_again_and_the_rest_goes_on(
    experiments: list[Experiment], kind: str
) -> None:
    code = f"(run / 'error.txt').write_text({kind!r} + chr(10)); sys.exit(1)"
    outcomes = ends(list(Pool(Devices(), scripted(code)).execute(experiments[:2])))
    expected = Outcome.ERROR if kind == "something new" else Outcome(kind)
    assert outcomes == [(0, expected, False), (1, expected, False)]


def test_exit_code_zero_without_a_result_is_no_success(experiments: list[Experiment]) -> None:
    outcomes = ends(list(Pool(Devices(), scripted("pass")).execute(experiments[:1])))
    assert outcomes == [(0, Outcome.ERROR, False)]


def test_fail_fast_ends_the_others(experiments: list[Experiment]) -> None:
    slow = RunDirectory.of(experiments[0]).path.name
    code = f"time.sleep(60) if run.name == {slow!r} else sys.exit(1)"
    begin = time.monotonic()
    pool = Pool(Devices(runs_at_once=2), scripted(code), fail_fast=True)
    assert ends(list(pool.execute(experiments))) == [
        (1, Outcome.ERROR, False),
        (0, Outcome.PREEMPTED, False),
    ]
    assert time.monotonic() - begin < 30


def test_a_full_disk_ends_the_others(experiments: list[Experiment]) -> None:
    code = "(run / 'error.txt').write_text('disk full' + chr(10)); sys.exit(1)"
    outcomes = ends(list(Pool(Devices(), scripted(code)).execute(experiments)))
    assert outcomes == [(0, Outcome.DISK_FULL, False)]


GRACEFUL = (
    "def end(*_):\n    checkpoint(); sys.exit(75)\n"
    "signal.signal(signal.SIGTERM, end)\n(run / 'ready').touch()\ntime.sleep(60)"
)


def begin(pool: Pool, experiments: list[Experiment]) -> Generator[Event]:
    """Execute until the first child is ready."""
    events = pool.execute(experiments)
    for _ in events:
        if (RunDirectory.of(experiments[0]).path / "ready").exists():
            return events
    raise AssertionError


def test_a_stop_lets_children_write_a_checkpoint(experiments: list[Experiment]) -> None:
    pool = Pool(Devices(), scripted(GRACEFUL))
    events = begin(pool, experiments)
    pool.stop()
    assert ends(list(events)) == [(0, Outcome.PREEMPTED, False)]
    assert RunDirectory.of(experiments[0]).last_checkpoint.exists()
    assert len(Script.started) == 1


def test_a_child_that_does_not_stop_is_killed(
    experiments: list[Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n(run / 'ready').touch()\ntime.sleep(60)"
    pool = Pool(Devices(), scripted(code))
    events = begin(pool, experiments)
    pool.stop()
    assert ends(list(events)) == [(0, Outcome.KILLED, False)]


def test_what_goes_wrong_around_the_pool_lets_children_write_a_checkpoint(
    experiments: list[Experiment],
) -> None:
    events = begin(Pool(Devices(), scripted(GRACEFUL)), experiments)
    events.close()
    assert RunDirectory.of(experiments[0]).last_checkpoint.exists()


def test_an_interrupt_kills_at_once(experiments: list[Experiment]) -> None:
    events = begin(Pool(Devices(), scripted(GRACEFUL)), experiments)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt)
    assert Script.started[0].process.returncode == -signal.SIGKILL
    assert not RunDirectory.of(experiments[0]).last_checkpoint.exists()


def test_what_a_child_leaves_behind_is_killed(experiments: list[Experiment]) -> None:
    code = (
        "import subprocess\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "(run / 'left').write_text(str(left.pid)); finish()"
    )
    list(Pool(Devices(), scripted(code)).execute(experiments[:1]))
    pid = int((RunDirectory.of(experiments[0]).path / "left").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_a_run_claimed_elsewhere_is_waited_for(experiments: list[Experiment]) -> None:
    directory = RunDirectory.of(experiments[0])
    directory.create(experiments[0])
    outcomes: list[tuple[int, Outcome, bool]] = []
    with claim(directory.path):
        events = Pool(Devices(), scripted("finish()")).execute(experiments[:2])
        for event in events:
            outcomes += ends([event])
            if len(outcomes) == 2:
                directory.result.write_text("{}")
                break
    outcomes += ends(list(events))
    assert outcomes == [
        (0, Outcome.CLAIMED, True),
        (1, Outcome.FINISHED, False),
        (0, Outcome.FINISHED, False),
    ]
    assert len(Script.started) == 1


def test_what_another_process_finished_or_failed_meanwhile_is_not_started(
    experiments: list[Experiment],
) -> None:
    events = Pool(Devices(), scripted("time.sleep(0.2); finish()")).execute(experiments[:3])
    next(events)
    for experiment, file, text in (
        (experiments[1], "result.json", "{}"),
        (experiments[2], "error.txt", "diverged\n"),
    ):
        RunDirectory.of(experiment).create(experiment)
        (RunDirectory.of(experiment).path / file).write_text(text)
    assert ends(list(events)) == [
        (0, Outcome.FINISHED, False),
        (1, Outcome.FINISHED, False),
        (2, Outcome.DIVERGED, False),
    ]
    assert len(Script.started) == 1


def test_a_child_that_dies_without_a_word_is_recorded(experiments: list[Experiment]) -> None:
    code = "import ctypes; ctypes.string_at(0)"
    outcomes = ends(list(Pool(Devices(), scripted(code)).execute(experiments[:1])))
    assert outcomes == [(0, Outcome.ERROR, False)]
    directory = RunDirectory.of(experiments[0])
    assert directory.state == "failed"
    assert "the process died: Segmentation fault, without a result" in directory.error.read_text()


def test_a_disk_may_be_too_full_to_say_so(
    experiments: list[Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM_BYTES", 2**62)
    outcomes = ends(list(Pool(Devices(), scripted("sys.exit(1)")).execute(experiments)))
    assert outcomes == [(0, Outcome.DISK_FULL, False)]
    assert RunDirectory.of(experiments[0]).state == "interrupted"


def test_bad_input_is_not_held_against_a_run(experiments: list[Experiment]) -> None:
    outcomes = ends(list(Pool(Devices(), scripted("sys.exit(2)")).execute(experiments[:1])))
    assert outcomes == [(0, Outcome.ERROR, False)]
    assert RunDirectory.of(experiments[0]).state == "interrupted"


def test_a_directory_that_was_edited_fails_alone(experiments: list[Experiment]) -> None:
    directory = RunDirectory.of(experiments[0])
    directory.create(experiments[0])
    file = directory.experiment
    file.write_text(file.read_text().replace("epochs: 1", "epochs: 7"))
    events = list(Pool(Devices(), scripted("finish()")).execute(experiments[:2]))
    assert ends(events) == [(0, Outcome.ERROR, False), (1, Outcome.FINISHED, False)]
    messages = [event.message for event in events if isinstance(event, Ended)]
    assert "the file was edited after the run began" in messages[0]


def test_a_folder_that_cannot_be_written_fails_the_run_with_its_reason(
    experiments: list[Experiment], tmp_path: Path
) -> None:
    (tmp_path / "runs").write_text("in the way")
    events = list(Pool(Devices(), scripted("finish()")).execute(experiments[:1]))
    assert ends(events) == [(0, Outcome.ERROR, False)]
    message = next(event.message for event in events if isinstance(event, Ended))
    assert message.startswith("cannot write the run directory")


@pytest.mark.fault
def test_a_run_that_hangs_tells_where_and_is_tried_again(
    experiments: list[Experiment],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(module, "STACK_SECONDS", 0.3)
    code = (
        "import faulthandler; faulthandler.register(signal.SIGUSR2)\n"
        "def hang(): time.sleep(60)\n"
        "for line in range(20): (run / 'metrics.jsonl').write_text(str(line)); time.sleep(0.1)\n"
        "hang() if attempt == 0 else finish()\n"
    )
    begin = time.monotonic()
    pool = Pool(Devices(), scripted(code), retries=1, stalled_seconds=3.0)
    events = list(pool.execute(experiments[:1]))
    assert ends(events) == [(0, Outcome.KILLED, True), (0, Outcome.FINISHED, False)]
    assert time.monotonic() - begin < 30
    assert "in hang" in capfd.readouterr().err
    told = next(event.message for event in events if isinstance(event, Ended))
    assert told.startswith("killed after 3 s without a sign of life; the stacks of its threads")
