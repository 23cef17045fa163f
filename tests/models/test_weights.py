import pickle

import pytest
import torch
from torch import nn

from awlab.models.weights import has_names_of, load_weights, read_weights


def net(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Linear(4, classes))


def same(found, network) -> bool:
    own = network.state_dict()
    return found.keys() == own.keys() and all(torch.equal(found[name], own[name]) for name in own)


def prefixed(prefix, network):
    return {f"{prefix}{name}": value for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda network: network.state_dict(),
        lambda network: prefixed("module.", network),
        lambda network: prefixed("module._orig_mod.", network),
        lambda network: {"model": network.state_dict(), "epoch": 3},
        lambda network: {"state_dict": prefixed("model.", network), "optimizer_states": []},
        lambda network: {
            "state_dict": prefixed("network.", network) | {"tallies.val_.sums": torch.zeros(3)},
            "experiment": {"name": "x"},
        },
    ],
    ids=["state dict", "parallel", "compiled", "script", "lightning", "ours"],
)
def test_reads_what_training_scripts_write(tmp_path, wrap):
    network = net()
    torch.save(wrap(network), tmp_path / "net.pt")
    assert same(read_weights(tmp_path / "net.pt"), network)


def test_reads_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    network = net()
    safetensors.save_file(network.state_dict(), tmp_path / "net.safetensors")
    assert same(read_weights(tmp_path / "net.safetensors"), network)
    (tmp_path / "net.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"^.*net\.safetensors cannot be read as weights: "):
        read_weights(tmp_path / "net.safetensors")


def test_safetensors_need_their_library(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors.torch", None)
    with pytest.raises(
        ValueError, match=r"^files of safetensors cannot be read .* 'awlab\[zoo\]'$"
    ):
        read_weights(tmp_path / "net.safetensors")


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Harmful()), "cannot be read as weights: "),
        (b"damaged", "cannot be read as weights: "),
        (b"", "cannot be read as weights: "),
    ],
)
def test_what_is_no_file_of_weights(tmp_path, content, message):
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "net.pt")


@pytest.mark.parametrize("content", [{"epoch": 3}, {}, [torch.zeros(2)], torch.zeros(2)])
def test_a_file_without_weights(tmp_path, content):
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"net\.pt holds no weights: expected tensors by name, or"):
        read_weights(tmp_path / "net.pt")


def test_gives_all_values():
    network, other = net(), net()
    load_weights(network, other.state_dict())
    assert same(other.state_dict(), network)


def test_a_file_may_be_older_than_the_counters_of_batch_norms():
    network, other = net(), net()
    network.get_buffer("1.num_batches_tracked").fill_(7)
    values = {name: value for name, value in other.state_dict().items() if "tracked" not in name}
    load_weights(network, values)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in values.items())
    assert network.state_dict()["1.num_batches_tracked"] == 7


def test_a_file_that_has_some_counters_must_have_all():
    network = nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    values = dict(network.state_dict())
    del values["0.num_batches_tracked"]
    with pytest.raises(ValueError, match=r"network; missing: 0\.num_batches_tracked\. Tensors"):
        load_weights(network, values)


def test_leaves_what_is_fresh():
    network, other = net(), net(classes=5)
    before = network.state_dict()["2.weight"].clone()
    load_weights(network, other.state_dict() | {"3.gate": torch.zeros(1)}, fresh=["2.*", "3.gate"])
    assert torch.equal(network.state_dict()["2.weight"], before)
    assert torch.equal(network.state_dict()["0.weight"], other.state_dict()["0.weight"])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_names_all_tensors_that_do_not_fit(device):
    with torch.device(device):
        network = net()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    values = net(classes=5).state_dict() | {f"extra.{i}": torch.zeros(1) for i in range(9)}
    del values["0.weight"]
    message = (
        r"^the weights of x\.pt do not fit the network; other shapes: 2\.weight \(5, 4\) for "
        r"\(3, 4\), 2\.bias \(5,\) for \(3,\); missing: 0\.weight; not in the network: extra\.0, .*"
        r"extra\.7 and 1 more\. Tensors that are to begin anew, .* weights\.fresh, as in \[fc"
    )
    with pytest.raises(ValueError, match=message):
        load_weights(network, values, of="x.pt")
    if device == "cpu":
        assert same(before, network)


def test_on_the_meta_device_nothing_is_copied():
    with torch.device("meta"):
        network = net()
    load_weights(network, net().state_dict())
    assert {value.device.type for value in network.state_dict().values()} == {"meta"}


def test_a_glob_that_matches_nothing():
    with pytest.raises(
        ValueError, match=r"^weights\.fresh: 'head\.\*' matches no tensor of the fi"
    ):
        load_weights(net(), net().state_dict(), fresh=["2.*", "head.*"])


def test_whose_names_they_are():
    values = net().state_dict()
    assert has_names_of(net(), values)
    assert not has_names_of(net(), values | {"gate": torch.zeros(1)})
    assert has_names_of(net(), values | {"gate": torch.zeros(1)}, fresh=["gate"])
