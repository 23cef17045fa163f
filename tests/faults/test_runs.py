"""Runs that fail for reasons of their own, each in its way, in one study."""

import sys
from typing import Any

import pytest
import torch
import yaml

from awlab.spec import Conv

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(900)]

FAULTY = """
import os, signal
from typing import Literal

import torch
from awlab.build import build_conv
from awlab.spec import Conv
from torch import nn

class Faulty(Conv):
    kind: Literal["faulty"]
    fault: str
    after: int = 40

class FaultyConv2d(nn.Conv2d):
    fault, after, calls = "", 0, 0

    def forward(self, images):
        self.calls += self.training and images.device.type != "meta"
        if self.calls > self.after and not os.path.exists("mended"):
            if self.fault == "memory":
                raise torch.OutOfMemoryError("tried to allocate 80 GiB")
            if self.fault == "error":
                raise KeyError("a slip of the author")
            if self.fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "crash":
                os.abort()
            if self.fault == "nan":
                return super().forward(images) * float("nan")
        return super().forward(images)

@build_conv.register
def _(spec: Faulty):
    def conv(*arguments, **options):
        made = FaultyConv2d(*arguments, **options)
        made.fault, made.after = spec.fault, spec.after
        return made
    return conv
"""
FAULTS = ("memory", "error", "killed", "crash", "nan")
"""Of runs that go well at first."""


@pytest.fixture
def faulty(lab, monkeypatch):
    """A study with a sound cell, one for each fault, and one that fails in its first step."""
    monkeypatch.syspath_prepend(lab.folder)
    (lab.folder / "faulty.py").write_text(FAULTY)
    base = lab.study["base"]
    base["plugins"] = ["faulty"]
    base["model"]["conv_stages"] = [1]
    base["training"]["epochs"] = 3
    values: dict[str, Any] = {fault: {"kind": "faulty", "fault": fault} for fault in FAULTS}
    values["killed"]["after"] = 4  # Before its first checkpoint: it makes no progress.
    values["at-once"] = {"kind": "faulty", "fault": "memory", "after": 0}
    lab.study |= {
        "axes": {"conv": {"path": "model.conv", "values": {"plain": None} | values}},
        "seeds": 1,
        "resources": {"retries": 1},
    }
    lab.ledger.injected += len(values)
    yield lab
    Conv.members.pop("faulty", None)
    sys.modules.pop("faulty", None)


def test_each_failure_is_told_and_the_rest_goes_on(faulty):
    assert faulty.ablate() == 1, faulty.output
    runs = {run.cell: run for run in faulty.plan().runs}
    assert {cell: run.state for cell, run in runs.items()} == {
        "plain": "finished",
        "memory": "failed",
        "error": "failed",
        "killed": "interrupted",
        "crash": "failed",
        "nan": "failed",
        "at-once": "failed",
    }
    failures = {cell: run.directory.failure for cell, run in runs.items()}
    assert failures == {
        "plain": None,
        "memory": "out of memory",
        "error": "error",
        "killed": None,
        "crash": "error",
        "nan": "diverged",
        "at-once": "out of memory",
    }
    output = faulty.output
    assert "smoke test: 7 of 7 architectures" in output
    assert "in the smoke test: tried to allocate 80 GiB" in output
    assert "KeyError: 'a slip of the author'" in output
    assert "died: Aborted" in output
    assert output.count("Set runtime.max_images_per_device") == 2

    attempts = {cell: faulty.attempts()[run.path.name] for cell, run in runs.items()}
    assert attempts == {
        "plain": 1, "memory": 1, "error": 1, "killed": 2, "crash": 1, "nan": 1, "at-once": 0,
    }  # fmt: skip
    stored = yaml.safe_load(runs["memory"].directory.experiment.read_text())
    assert stored["training"]["batch_size"] == 64  # Never changed behind anybody's back.
    weights = torch.load(runs["nan"].directory.last_checkpoint, weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())

    # Once more: only what was killed from outside is tried again.
    assert faulty.ablate() == 1
    again = faulty.attempts()
    assert again[runs["killed"].path.name] == 4
    assert sum(again.values()) == sum(attempts.values()) + 2

    # When the cause is mended, all of them finish from where they were.
    (faulty.folder / "mended").touch()
    assert faulty.ablate("--retry-failed") == 0, faulty.output
    faulty.results()
    assert faulty.ledger.lost == 0


def test_fail_fast_ends_the_study(faulty):
    assert faulty.ablate("--fail-fast", "--cell", "plain", "--cell", "at-once") == 1
    assert set(faulty.attempts().values()) == {0}  # The smoke test said enough.
    (faulty.folder / "mended").touch()
    assert faulty.ablate("--retry-failed") == 0, faulty.output
    faulty.results()
    assert faulty.ledger.lost == 0


def test_data_that_are_missing_are_missed_before_any_run(lab):
    lab.ledger.injected += 1
    lab.study["base"]["data"] = {"kind": "cifar10"}
    assert lab.ablate() == 2
    assert lab.output.count("error: ") == 1
    assert "runtime.download" in lab.output
    assert not (lab.folder / "runs").exists()
