import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_step.py"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def parse(script, monkeypatch):
    """Read a command line as the script does."""

    def parse(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        return script["parse_options"]()

    return parse


def test_groups_are_all_or_those_that_are_named(parse):
    assert parse().group == ["resnet50", "wide"]
    assert parse("wide", "--rounds=2").group == ["wide"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("resnet18", "argument GROUP: no group 'resnet18': there are resnet50 and wide"),
        ("--dtype=float32", "unrecognized arguments: --dtype=float32"),
    ],
)
def test_what_would_be_ignored_is_refused(parse, argument, message, capsys):
    with pytest.raises(SystemExit):
        parse(argument)
    assert message in capsys.readouterr().err


def test_networks_are_compiled_in_their_own_form_only(script, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network: lambda x: network(x) * scale)
    networks = {name: nn.Sequential(nn.Flatten(), nn.Linear(12, 5)) for name in ("plain", "other")}
    batch = (torch.randn(4, 3, 2, 2), torch.arange(4))
    forms = {"plain": script["nullcontext"], "other": script["grouped"]}
    steps = {name: script["Step"](networks[name], batch, forms[name]) for name in networks}
    scale = 1
    (name,) = script["compiled"](steps)
    assert name == "plain, compiled"
    scale = 30
    with pytest.raises(AssertionError, match="Scalars are not close"):
        script["compiled"](steps)
