from typing import Literal

import pytest
import torch
from torch import nn

from awlab import build, spec
from awlab.nn import AWConv2d
from awlab.spec.errors import InputError
from awlab.spec.weights import Weights

PATCHES = {"data": spec.PhotoPatches()}


def resnet(**changes) -> spec.ResNet:
    return spec.ResNet(**({"depth": 18, "width": 2, "stem": "cifar"} | changes))


def squeezenet(**changes) -> spec.Torchvision:
    return spec.Torchvision(name="squeezenet1_1", **changes)


def converted(start: Literal["paper", "identity"], **weights) -> spec.Torchvision:
    convert = spec.Conversion(conv=spec.AWConvolution(), kernel_size=3, start=start)
    return squeezenet(convert=convert, weights=Weights(**weights) if weights else None)


@pytest.fixture
def saved(tmp_path, digits):
    """Save the network of a spec, with weights of another seed."""

    def save(model: spec.Model, name: str = "net.pt", data=None):
        experiment = digits(model, seed=5)
        network = build.network(experiment.model_copy(update=data or {}))
        torch.save(network.state_dict(), tmp_path / name)
        return network, str(tmp_path / name)

    return save


def equal(network: nn.Module, other: nn.Module, but: str = " ") -> bool:
    first, second = network.state_dict(), other.state_dict()
    return all(torch.equal(first[name], second[name]) == (but not in name) for name in first)


def test_a_network_begins_with_a_file(saved, digits):
    old, file = saved(resnet())
    assert equal(build.network(digits(resnet(weights=Weights(file=file)))), old)
    fresh = build.network(digits(resnet(weights=Weights(file=file, fresh=("fc.weight",)))))
    assert equal(fresh, old, but="fc.weight")
    weight = build.network(digits(resnet())).state_dict()["fc.weight"]
    assert torch.equal(fresh.state_dict()["fc.weight"], weight)


def test_an_aw_network_begins_with_a_plain_one(saved, digits):
    old, file = saved(resnet())
    model = resnet(conv=spec.AWConvolution(), weights=Weights(file=file, fresh=("*.attention.*",)))
    values = build.network(digits(model)).state_dict()
    assert all(torch.equal(value, values[name]) for name, value in old.state_dict().items())


def test_a_part_of_a_network_begins_with_a_file(saved, digits, tmp_path):
    old, _ = saved(resnet())
    layer = old.get_submodule("layer3")
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    weights = Weights(file=str(tmp_path / "layer.pt"), into="layer3")
    network = build.network(digits(resnet(weights=weights)))
    assert equal(network.get_submodule("layer3"), layer)
    assert not equal(network.get_submodule("layer4"), old.get_submodule("layer4"))


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_a_network_of_a_library_is_converted_after_it_was_read(saved, digits, start):
    """With `identity` it then computes what the file does."""
    old, file = saved(squeezenet(), data=PATCHES)
    experiment = digits(converted(start, file=file)).model_copy(update=PATCHES)
    network = build.network(experiment).eval()
    assert sum(isinstance(layer, AWConv2d) for layer in network.modules()) == 9
    x = torch.randn(2, 3, 64, 64)
    kept = torch.allclose(network(x), old.eval()(x), atol=1e-5)
    assert kept == (start == "identity")


def test_a_converted_network_begins_with_a_converted_one(saved, digits):
    old, file = saved(converted("identity"), data=PATCHES)
    experiment = digits(converted("identity", file=file)).model_copy(update=PATCHES)
    assert equal(build.network(experiment), old)


def test_weights_that_follow_are_not_preceded_by_others(saved, digits, monkeypatch, tmp_path):
    """A run that is resumed or evaluated fetches nothing."""
    _, file = saved(resnet())
    model = resnet(weights=Weights(file=file))
    (tmp_path / "net.pt").unlink()
    with pytest.raises(InputError, match=r"^model: weights: there is no .*net\.pt$"):
        build.network(digits(model))
    assert isinstance(build.network(digits(model), begin=False), nn.Module)
    fetched = []
    monkeypatch.setattr("awlab.models.zoo._read", lambda *source: fetched.append(source) or {})
    experiment = digits(squeezenet(pretrained=True)).model_copy(update=PATCHES)
    build.network(experiment, begin=False)
    assert not fetched
    build.network(experiment)
    assert fetched


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            {},
            r"^model: the weights of .*net\.pt do not fit the network; other shapes: conv1\.weight",
        ),
        ({"fresh": ["head.*"]}, r"^model: weights\.fresh: 'head\.\*' matches no tensor"),
        (
            {"into": "body"},
            r"^model: weights\.into: the network has no part 'body'; its parts are c",
        ),
        (
            {"sha256": 64 * "0"},
            r"^model: weights: .*net\.pt has other content than it had: its sha",
        ),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_does_not_fit_is_said_before_anything_is_trained(
    saved, digits, weights, message, device
):
    _, file = saved(resnet(), data=PATCHES | {"data": spec.CIFAR(kind="cifar100")})
    experiment = digits(resnet(weights=Weights(file=file, **weights)))
    with torch.device(device), pytest.raises(InputError, match=message):
        build.network(experiment)
