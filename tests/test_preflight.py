from typing import Literal

import pytest
import torch
from torch import nn

from awlab import build
from awlab.models import torchvision_network
from awlab.plan import plan
from awlab.plan.runs import BATCH_DEPENDENT
from awlab.preflight import build_networks, preflight
from awlab.spec.ablation import Ablation
from awlab.spec.attention import Attention
from awlab.spec.errors import SpecError
from awlab.spec.load import parse

WIDE = {"kind": "wide_resnet", "depth": 10, "width": 1, "conv": {"kind": "aw"}}
AA = {"kind": "aa_wide_resnet", "depth": 10, "width": 5, "self_attention": {"heads": 2}}


class NeedyModule(nn.Module):
    """Looks at values, which the meta device has not."""

    def __init__(self, fails):
        super().__init__()
        self.fails = fails

    def forward(self, x):
        if self.fails and x.shape[0] > 1:
            raise KeyError("scale")
        return x if float(x.sum()) > 0 else -x


@pytest.fixture
def needy(monkeypatch):
    """Add a kind of attention, as a plugin does, for one test."""
    monkeypatch.setattr(Attention, "members", dict(Attention.members))

    class Needy(Attention):
        kind: Literal["needy"] = "needy"
        fails: bool = False

    @build.build_attention.register
    def _(spec: Needy, channels: int) -> nn.Module:
        return NeedyModule(spec.fails)

    return {"kind": "needy"}


def planned(root, axes, baseline, model=WIDE, data="digits", **changes):
    base = {
        "name": "base",
        "model": model,
        "data": {"kind": data},
        "training": {"epochs": 1, "batch_size": 64, "optimizer": {"kind": "sgd", "lr": 0.1}},
        "runtime": {"root": str(root)},
    }
    study = {"name": "study", "base": base, "axes": axes, "baseline": baseline, "seeds": 2}
    return plan(parse(Ablation, study | changes))


def test_parameters_and_macs_of_each_cell(tmp_path):
    axes = {"conv": {"path": "model.conv", "values": [None, {"kind": "aw"}]}}
    found = preflight(planned(tmp_path, axes, "none"))
    for name, profile in found.profiles.items():
        network = build.network(found.plan[name].runs[0].experiment)
        assert profile.total.parameters == sum(p.numel() for p in network.parameters())
    assert found.profiles["aw"].total.macs > found.profiles["none"].total.macs


def test_a_1x1_kernel_has_no_h_and_w_to_expand(tmp_path):
    axes = {
        "position": {"path": "model.aw.position", "values": [0, 3]},
        "expand": {
            "path": "model.aw.conv.expand",
            "values": {"c1": {"c1": "full"}, "c1hw": {"c1": "full", "h": "full", "w": "full"}},
        },
    }
    model = AA | {"aw": {"position": 0, "conv": {"kind": "aw"}}}
    merged = preflight(planned(tmp_path, axes, {"position": 0, "expand": "c1"}, model)).plan
    twin = merged["position=3,expand=c1hw"]
    assert twin.same_as == "position=3,expand=c1"
    assert twin.runs == merged["position=3,expand=c1"].runs
    assert twin.notes == ("builds the same network as position=3,expand=c1",)
    assert merged["position=0,expand=c1hw"].same_as is None
    assert len(merged.runs) == 6


def test_stages_mean_nothing_without_a_convolution_to_put_there(tmp_path):
    axes = {
        "conv": {"path": "model.conv", "values": [None, {"kind": "aw"}]},
        "stages": {"path": "model.conv_stages", "values": {"all": [1, 2, 3], "last": [3]}},
    }
    merged = preflight(planned(tmp_path, axes, {"conv": "none", "stages": "all"})).plan
    assert merged["conv=none,stages=last"].same_as == "conv=none,stages=all"
    assert merged["conv=aw,stages=last"].same_as is None


def test_full_is_the_size_of_the_dim(tmp_path):
    axes = {
        "expand": {
            "path": "model.conv.expand",
            "values": {"full": {"c1": "full"}, "size": {"c1": 16}, "half": {"c1": 8}},
        }
    }
    merged = preflight(planned(tmp_path, axes, "full", WIDE | {"conv_stages": [1]})).plan
    assert merged["size"].same_as == "full"
    assert merged["half"].same_as is None


def test_the_same_network_trained_otherwise_is_another_run(tmp_path):
    axes = {
        "stages": {"path": "model.conv_stages", "values": {"all": [1, 2, 3], "last": [3]}},
        "lr": {"path": "training.optimizer.lr", "values": [0.1, 0.2]},
    }
    model = WIDE | {"conv": None}
    merged = preflight(planned(tmp_path, axes, {"stages": "all", "lr": 0.1}, model)).plan
    assert merged["stages=last,lr=0.2"].same_as == "stages=all,lr=0.2"
    assert merged["stages=all,lr=0.2"].same_as is None


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("model.weights", {"random": None, "read": {"file": "net.pt"}}),
        ("model.pretrained", {"random": False, "fetched": True}),
        ("model.convert.start", {"random": "paper", "kept": "identity"}),
    ],
)
def test_networks_that_begin_differently_share_no_runs(tmp_path, monkeypatch, path, values):
    monkeypatch.chdir(tmp_path)
    convert = {"conv": {"kind": "aw"}, "where": "features.0"}
    model = {"kind": "torchvision", "name": "squeezenet1_1", "convert": convert}
    torch.save(torchvision_network("squeezenet1_1", num_classes=10).state_dict(), "net.pt")
    axes = {"start": {"path": path, "values": values}}
    found = preflight(planned(tmp_path, axes, "random", model=model, data="photo_patches"))
    assert [cell.same_as for cell in found.plan.cells] == [None, None]


def test_cells_share_the_runs_that_are_done(tmp_path):
    axes = {"stages": {"path": "model.conv_stages", "values": {"all": [1, 2, 3], "last": [3]}}}
    model = WIDE | {"conv": None}
    run = planned(tmp_path, axes, "all", model)["last"].runs[0]
    run.directory.create(run.experiment)
    run.directory.result.write_text("{}")
    merged = preflight(planned(tmp_path, axes, "all", model)).plan
    assert merged["all"].same_as == "last"
    assert merged.runs[0].state == "finished"
    assert merged.compared == ()


def test_cells_that_already_share_runs_follow(tmp_path):
    values = {"a": {"c1": 16}, "b": {"c1": "full"}, "c": {"c1": "full"}}
    axes = {"expand": {"path": "model.conv.expand", "values": values}}
    unmerged = planned(tmp_path, axes, "a", WIDE | {"conv_stages": [1]})
    assert unmerged["c"].same_as == "b"
    found = preflight(unmerged)
    merged = found.plan
    assert {network.meaning for network in found.networks.values()} == {found.networks["a"].meaning}
    assert build_networks(unmerged) == found.networks
    assert (merged["b"].same_as, merged["c"].same_as) == ("a", "a")
    assert len(merged.runs) == 2


def test_every_cell_that_cannot_be_built_is_named(tmp_path):
    axes = {
        "expand": {"path": "model.conv.expand", "values": {"c1": {"c1": "full"}, "c2": {"c2": 3}}},
        "f2": {"path": "model.conv.f2", "values": ["residual", "product"]},
    }
    with pytest.raises(SpecError) as caught:
        preflight(planned(tmp_path, axes, {"expand": "c1", "f2": "residual"}))
    (problem,) = caught.value.problems
    assert problem.message == (
        "model layer1.0.conv1: expand ratio of c2 (=3) must divide its size (=16); allowed: 1, 2, "
        "4, 8, 16 or 'full' (cell expand=c2,f2=residual and 1 more)"
    )


def test_a_batch_that_does_not_divide_is_found(tmp_path):
    axes = {
        "expand": {"path": "model.conv.expand", "values": {"c1": {"c1": "full"}, "n": {"n": 7}}}
    }
    with pytest.raises(SpecError, match=r"expand ratio of n \(=7\) must divide its size \(=64\)"):
        preflight(planned(tmp_path, axes, "c1"))


def test_sharing_maps_over_the_batch_stays_noted(tmp_path):
    axes = {
        "expand": {"path": "model.conv.expand", "values": {"c1": {"c1": "full"}, "n": {"n": 8}}}
    }
    assert preflight(planned(tmp_path, axes, "c1")).plan["n"].notes == (BATCH_DEPENDENT,)


def test_excluded_cells_are_not_built(tmp_path):
    axes = {
        "expand": {"path": "model.conv.expand", "values": {"c1": {"c1": "full"}, "c2": {"c2": 3}}}
    }
    exclude = [{"when": {"expand": "c2"}, "reason": "does not divide"}]
    found = preflight(planned(tmp_path, axes, "c1", exclude=exclude))
    assert list(found.profiles) == ["c1"]


def test_modules_that_need_values_are_built_on_the_cpu(tmp_path, needy):
    values = {"none": None, "needy": needy}
    axes = {"attention": {"path": "model.attention", "values": values}}
    found = preflight(planned(tmp_path, axes, "none"))
    assert found.profiles["needy"].total.parameters == found.profiles["none"].total.parameters
    assert found.plan["needy"].same_as is None


def test_whatever_a_plugin_raises_is_told(tmp_path, needy):
    values = {"none": None, "needy": needy | {"fails": True}}
    axes = {"attention": {"path": "model.attention", "values": values}}
    with pytest.raises(
        SpecError,
        match=r"model: KeyError: 'scale'; on the meta device: RuntimeError.*\(cell needy\)",
    ):
        preflight(planned(tmp_path, axes, "none"))


def test_an_output_of_another_shape_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        build, "network", lambda experiment: nn.Sequential(nn.Flatten(), nn.Linear(64, 7))
    )
    axes = {"f2": {"path": "model.conv.f2", "values": ["residual"]}}
    with pytest.raises(SpecError, match=r"has shape \(64, 7\), expected \(64, 10\)"):
        preflight(planned(tmp_path, axes, "residual"))


def test_random_numbers_are_left_alone(tmp_path):
    axes = {"f2": {"path": "model.conv.f2", "values": ["residual"]}}
    torch.manual_seed(3)
    before = torch.get_rng_state()
    preflight(planned(tmp_path, axes, "residual"))
    assert torch.equal(before, torch.get_rng_state())
