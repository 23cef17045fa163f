import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awlab.cli import app
from awlab.execute import backend, networks, study
from awlab.execute.child import Child
from awlab.execute.devices import Share

Invoke = Callable[..., tuple[int, str, str]]
STUDY = """\
name: tiny
base:
  name: tiny
  model: {kind: resnet, depth: 18, width: 2, stem: cifar}
  data: {kind: digits}
  training: {epochs: 1, batch_size: 128, optimizer: {kind: sgd, lr: 0.1}}
  runtime: {gradcam_images: 0, wandb: disabled}
axes:
  conv:
    path: model.conv
    values: {plain: null, aw: {kind: aw}}
baseline: plain
seeds: 2
"""
RESULT = {
    "metrics": {"test/top1_error": 12.5},
    "tested_epoch": 0,
    "last": {"epoch": 0, "metrics": {"val/top1_error": 13.0}},
    "best": {"epoch": 0, "metrics": {"val/top1_error": 13.0}},
    "epochs": 1,
    "steps": 10,
    "parameters": 1000,
    "gmacs": 0.1,
    "seconds": 1.0,
    "images_per_second": 100.0,
    "peak_memory_bytes": 1,
    "attempts": 1,
}
SCRIPT = """
import json, os, sys, time
from pathlib import Path
run = Path(sys.argv[1])
with open("started.txt", "a") as started:
    print(run.name, file=started)
result = json.loads(sys.argv[2]) | {{"id": run.name[-10:], "name": run.name}}
def finish(): (run / "result.json").write_text(json.dumps(result))
def fail(kind): (run / "error.txt").write_text(kind + "\\n"); sys.exit(1)
{code}
"""


@pytest.fixture
def invoke() -> Invoke:
    """Call a verb in this process."""

    def call(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, list(arguments))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return call


@pytest.fixture
def study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of two cells and two seeds, in the present folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    file = Path("tiny.yaml")
    file.write_text(STUDY)
    return file


class Script(Child):
    """A process that does what some lines of Python say, in place of a training."""

    def __init__(self, code: str, arguments: Sequence[str]) -> None:
        folder = str(Path(arguments[1]).parent)
        command = [sys.executable, "-S", "-c", SCRIPT.format(code=code), folder, json.dumps(RESULT)]
        self._process = subprocess.Popen(command, start_new_session=True)
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let all runs do what some lines of Python say; no network is built or tried."""

    def use(code: str) -> None:
        def start(arguments: Sequence[str], share: Share, log: Path) -> Script:
            return Script(code, arguments)

        monkeypatch.setattr(backend, "WarmChild", start)
        monkeypatch.setattr(study, "try_out", lambda *_: iter(()))
        monkeypatch.setattr(networks, "build_networks", lambda *_: {})

    return use
