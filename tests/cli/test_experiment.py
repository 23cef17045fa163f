"""The verbs for one experiment; what they call is tested where it lives."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awlab.cli import app
from awlab.record.run_directory import RunDirectory
from awlab.spec.load import load_experiment

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TINY = """\
name: tiny
model: {kind: resnet, depth: 18, width: 2, stem: cifar}
data: {kind: digits}
training: {epochs: 2, batch_size: 128, optimizer: {kind: sgd, lr: 0.1}}
runtime: {gradcam_images: 2, wandb: disabled, accelerator: cpu}
"""
TINY_STUDY = """\
name: tiny_study
base: tiny.yaml
axes: {conv: {path: model.conv, values: {plain: null, aw: {kind: aw}}}}
baseline: plain
seeds: 1
"""
Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Call a verb in this process, in a folder with the file `tiny.yaml`."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)

    def call(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, list(arguments))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return call


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "awlab", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_a_run_from_file_to_pictures(invoke: Invoke) -> None:
    code, out, _ = invoke("run", "tiny.yaml")
    assert code == 0
    directory = RunDirectory.of(load_experiment("tiny.yaml"))
    assert str(directory.path) in out
    assert "Test error" in out
    assert str(directory.gradcam / "contact_sheet.png") in out.replace("\n", "")

    code, out, _ = invoke("run", "tiny.yaml")
    assert code == 0
    assert "is finished: nothing to do" in out
    code, out, _ = invoke("run", "tiny.yaml", "--json")
    assert json.loads(out) == json.loads(directory.result.read_text())

    code, out, _ = invoke("eval", str(directory.path), "--json")
    recorded = json.loads(directory.result.read_text())["metrics"]
    assert json.loads(out) == pytest.approx(recorded)
    assert "val/top1_error" in invoke("eval", str(directory.path), "--split", "val")[1]

    code, out, _ = invoke("gradcam", str(directory.path), "--json")
    explained = json.loads(out)
    assert Path(explained["contact_sheet"]).is_file()
    assert len(explained["images"]) == 2
    assert "2 images explained" in invoke("gradcam", str(directory.path))[1]

    Path("study.yaml").write_text(TINY_STUDY)
    code, out, error = invoke("gradcam", "study.yaml")
    assert (code, error) == (0, "not shown: aw: no run is finished\n")
    assert out == "1 cell explained: studies/tiny_study/gradcam/wall.png\n"
    found = json.loads(invoke("gradcam", "study.yaml", "--layer", "layer2", "--json")[1])
    assert Path(found["picture"]).name == "wall-layer2.png"
    assert found["cells"]["plain"]["layer"] == "layer2"

    assert json.loads(invoke("list", "--json")[1])[0]["state"] == "finished"


@pytest.mark.fault
def test_a_full_disk_has_an_exit_code_where_it_leaves_no_room_for_words(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("awlab.train.checkpoint._write", full)
    code, _, error = invoke("run", "tiny.yaml")
    assert code == 74
    assert "disk full at" in error
    assert "error.txt)" in error.replace("\n", "")

    monkeypatch.setattr(RunDirectory, "fail", full)
    code, _, error = invoke("run", "tiny.yaml")
    assert code == 74
    assert "disk full at" in error
    assert "error.txt" not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.yaml"], "no such file"),
        (["run", "tiny.yaml", "training.epoch=1"], "Did you mean 'epochs'"),
        (["run", "tiny.yaml", "model.conv={kind: aw, expand: {c1: 3}}"], "c1"),
        (["run", "tiny.yaml", "data.kind=cifar100", "runtime.data_root=nowhere"], "nowhere"),
        (["run", "tiny.yaml", "runtime.devices=999"], "999"),
        (["run", "tiny.yaml", "runtime.max_images_per_device=100"], "100"),
        (["run", "tiny.yaml", "training.batch_size=100000"], "100000"),
        (["run", "tiny.yaml", "runtime.root=tiny.yaml"], "tiny.yaml"),
        (["run", "tiny.yaml", "plugins=[no_such_module]"], "no_such_module"),
        (["profile", "tiny.yaml", "--paper"], "no `paper`"),
        (["eval", "nowhere"], "nowhere"),
        (["gradcam", "nowhere"], "nowhere"),
        (["gradcam", "nowhere", "seeds=3"], "only the file of a study can be changed"),
        (["gradcam", "tiny.yaml"], "tiny.yaml"),
    ],
)
def test_bad_input_is_one_error_and_leaves_nothing(
    invoke: Invoke, arguments: list[str], message: str
) -> None:
    before = sorted(Path.cwd().iterdir())
    code, out, error = invoke(*arguments)
    assert code == 2
    assert out == ""
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
    assert sorted(Path.cwd().iterdir()) == before


def test_a_run_that_diverges_ends_with_one_line(invoke: Invoke) -> None:
    arguments = ["run", "tiny.yaml", "training.optimizer.lr=1e30"]
    directory = RunDirectory.of(load_experiment("tiny.yaml", arguments[2:]))
    code, _, error = invoke(*arguments)
    assert code == 1
    assert error.startswith("error: ")
    assert str(directory.error) in error
    assert directory.failure == "diverged"


def test_profile_beside_the_paper(invoke: Invoke) -> None:
    file = str(EXPERIMENTS / "cifar100_aa.yaml")
    assert "8,434,652" in invoke("profile", file)[1]
    code, out, _ = invoke("profile", file, "--paper", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["parts"][-1]["parameters"] == 8434652
    assert document["aw_convolutions"] == []
    assert [row["verdict"] for row in document["paper"]] == ["match", "differs"]
    assert "8.43 M parameters, printed 8.43: match" in invoke("profile", file, "--paper")[1]


STUDY = """\
name: study
base: tiny.yaml
axes:
  conv: {path: model.conv, values: {plain: null, aw: {kind: aw}}}
baseline: plain
"""


def test_profile_of_a_study_beside_the_paper(invoke: Invoke) -> None:
    paper = "paper: {plain: {source: a table, parameters_m: 0.01}}\n"
    Path("study.yaml").write_text(STUDY + paper)
    out = invoke("profile", "study.yaml")[1]
    assert [line.split()[0] for line in out.splitlines()] == ["cell", "plain", "aw"]
    document = json.loads(invoke("profile", "study.yaml", "--json")[1])
    plain, aw = document["cells"]
    assert (plain["cell"], aw["cell"]) == ("plain", "aw")
    assert plain["parameters"] < aw["parameters"]
    assert plain["paper"] == []
    plain, aw = json.loads(invoke("profile", "study.yaml", "--paper", "--json")[1])["cells"]
    assert [(row["quantity"], row["verdict"]) for row in plain["paper"]] == [
        ("parameters_m", "match")
    ]
    assert aw["paper"] == []
    assert "1 of 1 printed numbers are met" in invoke("profile", "study.yaml", "--paper")[1]


def test_profile_of_a_study_refuses_what_it_cannot_do(invoke: Invoke) -> None:
    Path("study.yaml").write_text(STUDY)
    code, _, error = invoke("profile", "study.yaml", "--paper")
    assert code == 2
    assert "study.yaml: has no `paper` to compare with; leave out --paper" in error
    change = "axes.conv.values={plain: null, aw: {kind: aw, expand: {c1: 3}}}"
    code, _, error = invoke("profile", "study.yaml", change)
    assert code == 2
    assert "expand ratio of c1 (=3)" in error
    assert "(cell aw)" in error


@pytest.mark.slow
def test_profile_of_table_1_fits_a_terminal(invoke: Invoke) -> None:
    study = EXPERIMENTS.parent / "ablations" / "paper_table1.yaml"
    code, out, _ = invoke("profile", str(study), "--paper")
    assert code == 0
    assert sum("ResNet" in line or "MobileNet " in line for line in out.splitlines()[:20]) >= 12
    assert "21 of 34 printed numbers are met" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.timeout(300)
def test_a_killed_run_goes_on_where_it_was(invoke: Invoke) -> None:
    arguments = ["run", "tiny.yaml", "training.epochs=40", "runtime.checkpoint_every_steps=3"]
    directory = RunDirectory.of(load_experiment("tiny.yaml", arguments[2:]))
    process = start(*arguments)
    while not directory.last_checkpoint.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    second = start(*arguments)
    out, error = second.communicate()
    assert second.returncode == 73
    assert f"executed by process {process.pid}" in error
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert directory.state == "interrupted"
    process = start(*arguments)
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert "resuming from" in out
    assert json.loads(directory.result.read_text())["attempts"] == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_paper_s_network_trains_on_cifar_files(invoke: Invoke, small_cifar100: Path) -> None:
    arguments = [
        "run", str(EXPERIMENTS / "cifar100_aa.yaml"), "training.epochs=1", "training.batch_size=16",
        f"runtime.data_root={small_cifar100}", "runtime.gradcam_images=1", "runtime.wandb=disabled",
    ]  # fmt: skip
    process = start(*arguments, "--json")
    out, error = process.communicate()
    assert process.returncode == 0, error
    result = json.loads(out)
    assert result["parameters"] == 8434652
    assert 0 <= result["metrics"]["test/top1_error"] <= 100


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_torchrun_and_two_devices_mean_the_same_as_one(invoke: Invoke) -> None:
    def loss(name: str, *command: str) -> float:
        root = f"runtime.root={name}"
        process = subprocess.run(
            [*command, "run", "tiny.yaml", "training.epochs=1", root, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        directory = RunDirectory.of(load_experiment("tiny.yaml", ["training.epochs=1", root]))
        return json.loads(directory.result.read_text())["metrics"]["test/loss"]

    alone = loss("one", sys.executable, "-m", "awlab")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launched = loss("two", *torchrun, "--nproc-per-node", "2", "-m", "awlab")
    assert launched == pytest.approx(alone, rel=1e-4)
