"""A folder with a study, and processes that execute it, for faults to be injected into."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from awlab.plan import Plan, Run, plan, read_ablation
from awlab.record.claim import living_holder
from awlab.record.environment import read_attempts
from tests.fault_ledger import Ledger

SECONDS = 240.0
"""How long anything may take on a busy machine."""
PENDING = ("SigPnd", "ShdPnd")
"""Signals that wait, for a thread and for all of a process."""
STUDY: dict[str, Any] = {
    "name": "tiny",
    "base": {
        "name": "tiny",
        "model": {"kind": "resnet", "depth": 18, "width": 2, "stem": "cifar"},
        "data": {"kind": "digits"},
        "training": {"epochs": 4, "batch_size": 64, "optimizer": {"kind": "sgd", "lr": 0.05}},
        "runtime": {"gradcam_images": 0, "wandb": "disabled", "checkpoint_every_steps": 5},
    },
    "axes": {"conv": {"path": "model.conv", "values": {"plain": None, "aw": {"kind": "aw"}}}},
    "baseline": "plain",
    "seeds": 2,
}


def descendants(pid: int) -> list[int]:
    """The living processes that a process has started, and theirs."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            child = int(stat.parent.name)
            found += [child, *descendants(child)]
    return found


def alive(pids: list[int]) -> list[int]:
    """Those of these processes that still do something."""

    return [pid for pid in pids if state_of(pid) not in "ZX"]


def state_of(pid: int) -> str:
    """The letter that Linux has for the state of a process; X for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def epochs_of(run: Run) -> int:
    """How many epochs of a run are done."""
    rows = run.directory.metrics
    return rows.read_text().count("val/loss") if rows.exists() else 0


@dataclass(frozen=True)
class Held:
    """A run whose process was stopped (SIGSTOP) in the midst of its training."""

    run: Run
    pid: int

    @property
    def trains(self) -> bool:
        """Whether there is something left to train."""
        done = epochs_of(self.run)
        return self.run.state == "interrupted" and done < self.run.experiment.training.epochs

    @property
    def asked(self) -> bool:
        """Whether SIGTERM waits for the process to go on."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        pending = [line.split()[1] for line in status.splitlines() if line[:6] in PENDING]
        return any(int(signals, 16) >> (signal.SIGTERM - 1) & 1 for signals in pending)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@dataclass
class Lab:
    """A folder with a study, and processes of `awlab` in it.

    Attributes:
        folder: Where they work.
        ledger: Counts the faults.
        study: Content of the file `study.yaml`.
    """

    folder: Path
    ledger: Ledger
    study: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(STUDY)))
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def output(self) -> str:
        """What all processes have printed."""
        return (self.folder / "output.txt").read_text()

    def write(self) -> None:
        self.file.write_text(yaml.safe_dump(self.study, sort_keys=False))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `awlab ablate`, its two runs at once."""
        self.write()
        command = [sys.executable, "-m", "awlab", "ablate", "study.yaml", "--jobs", "2", *arguments]
        path = os.pathsep.join([str(self.folder), *os.environ.get("PYTHONPATH", "").split()])
        with (self.folder / "output.txt").open("a") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
            )
        self.processes.append(process)
        return process

    def ablate(self, *arguments: str) -> int:
        """Execute the study to its end and return the exit code."""
        return self.start(*arguments).wait(timeout=SECONDS)

    def plan(self) -> Plan:
        """The study as it stands."""
        ablation, document = read_ablation(self.file)
        assert not isinstance(ablation.base, str)
        root = str(self.folder / ablation.base.runtime.root)
        runtime = ablation.base.runtime.model_copy(update={"root": root})
        base = ablation.base.model_copy(update={"runtime": runtime})
        return plan(ablation.model_copy(update={"base": base}), document)

    def wait(self, until: Callable[[], Any]) -> Any:
        """Wait until something is true."""
        deadline = time.monotonic() + SECONDS
        while not (found := until()):
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)
        return found

    def trained(self, epochs: int = 1, besides: "Sequence[Held]" = ()) -> Run:
        """Wait for a run that has come this far and is not finished."""
        known = {held.run.id for held in besides}

        def find() -> Run | None:
            runs = [run for run in self.plan().runs if run.id not in known]
            found = next((run for run in runs if is_there(run)), None)
            alive = [process for process in self.processes if process.poll() is None]
            assert found or alive or not self.processes, self.output
            return found

        def is_there(run: Run) -> bool:
            return run.state == "interrupted" and epochs_of(run) >= epochs

        return self.wait(find)

    def hold(self, count: int = 1, epochs: int = 1) -> "list[Held]":
        """Stop this many runs in the midst of their training, as a busy machine might.

        What is done now meets them there: no run ends between a look at it and the fault.
        """
        held: list[Held] = []
        while len(held) < count:
            run = self.trained(epochs, besides=held)
            holder = living_holder(run.path)
            if holder is None:
                continue  # It has just ended.
            made = Held(run, holder.pid)
            with suppress(ProcessLookupError):
                os.kill(made.pid, signal.SIGSTOP)
                self.wait(lambda made=made: state_of(made.pid) in "TZX")
                if made.trains:
                    held.append(made)
                else:
                    made.go_on()
        return held

    def let_go(self, held: Sequence[Held]) -> None:
        """Let runs go on as soon as each of them has been asked to end."""
        for one in held:
            self.wait(lambda one=one: one.asked)
            one.go_on()

    @staticmethod
    def descendants(pid: int) -> list[int]:
        """What a process has started."""
        return descendants(pid)

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Inject a fault."""
        self.ledger.injected += 1
        os.kill(pid, number)

    def ended(self, pids: list[int]) -> None:
        """Wait until none of these processes does anything any more."""
        self.wait(lambda: not alive(pids))

    def results(self) -> dict[str, tuple[Any, str]]:
        """Metrics and a digest of the last weights, by the name of the run; counts what is lost."""
        import torch

        found: dict[str, tuple[Any, str]] = {}
        for run in self.plan().runs:
            if run.state != "finished":
                self.ledger.lost += 1
                continue
            state = torch.load(run.directory.last_checkpoint, weights_only=True)["state_dict"]
            digest = hashlib.sha256()
            for name, value in state.items():
                digest.update(name.encode() + value.numpy().tobytes())
            result = json.loads(run.directory.result.read_text())
            found[run.path.name] = (result["metrics"], digest.hexdigest())
        return found

    def attempts(self) -> dict[str, int]:
        """How often each run was started, by its name."""
        return {run.path.name: len(read_attempts(run.directory)) for run in self.plan().runs}


@pytest.fixture
def lab(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = Lab(tmp_path, ledger)
    made.write()
    yield made
    for process in made.processes:
        for pid in [process.pid, *descendants(process.pid)] if process.poll() is None else []:
            with suppress(ProcessLookupError):  # It died with the one before.
                os.kill(pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, str]]:
    """Results of the study when nothing happens to it."""
    lab = Lab(tmp_path_factory.mktemp("undisturbed"), Ledger())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        assert lab.ablate() == 0, lab.output
    return lab.results()
