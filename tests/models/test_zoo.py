import hashlib
import sys
from types import SimpleNamespace

import pytest
import torch
import torchvision

from awlab.models.zoo import timm_network, torchvision_network


@pytest.mark.parametrize("pretrained", [False, True])
@pytest.mark.parametrize("build", [torchvision_network, timm_network])
def test_on_the_meta_device_nothing_is_read(build, pretrained):
    pytest.importorskip("timm")
    with torch.device("meta"):
        network = build("resnet18", num_classes=7, pretrained=pretrained)
        assert network.eval()(torch.empty(1, 3, 64, 64)).shape == (1, 7)


def test_networks_that_want_values_are_there_on_the_meta_device_too():
    with torch.device("meta"):
        network = torchvision_network("regnet_y_400mf", num_classes=7)
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_there_are_no_auxiliary_outputs_in_training(name):
    with torch.device("meta"):
        network = torchvision_network(name, num_classes=7).train()
        assert network(torch.empty(2, 3, 96, 96)).shape == (2, 7)


def test_timm_takes_other_colour_channels():
    pytest.importorskip("timm")
    with torch.device("meta"):
        network = timm_network("resnet18", num_classes=7, channels=1).eval()
        assert network(torch.empty(1, 1, 64, 64)).shape == (1, 7)


@pytest.fixture
def published(monkeypatch):
    """Weights of torchvision, without a download."""
    torch.manual_seed(0)
    values = torchvision.models.get_model("squeezenet1_1", weights=None).state_dict()
    weights = SimpleNamespace(get_state_dict=lambda **options: values)
    monkeypatch.setattr(
        torchvision.models, "get_model_weights", lambda name: SimpleNamespace(DEFAULT=weights)
    )
    return values, weights


@pytest.mark.parametrize(("classes", "fresh"), [(1000, []), (5, ["classifier.1"])])
def test_pretrained_weights_are_read_but_for_other_classes(published, classes, fresh):
    torch.manual_seed(1)
    network = torchvision_network("squeezenet1_1", num_classes=classes, pretrained=True)
    own = network.state_dict()
    changed = {name for name, tensor in own.items() if not torch.equal(tensor, published[0][name])}
    assert changed == {f"{layer}.{kind}" for layer in fresh for kind in ("weight", "bias")}


def test_pretrained_weights_are_downloaded_once_and_checked(tmp_path, monkeypatch, capsys):
    """As from torchvision's server: the name of the file ends with its sha256."""
    torch.manual_seed(0)
    values = torchvision.models.get_model("squeezenet1_1", weights=None).state_dict()
    torch.save(values, tmp_path / "weights")
    content = (tmp_path / "weights").read_bytes()
    file = tmp_path / f"squeezenet-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    file.write_bytes(content)
    published = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.value
    monkeypatch.setattr(published, "url", file.as_uri())
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))

    def build():
        return torchvision_network("squeezenet1_1", num_classes=1000, pretrained=True).state_dict()

    downloaded = build()
    printed = capsys.readouterr()
    assert (printed.out, "Downloading" in printed.err) == ("", True)
    assert all(torch.equal(downloaded[name], values[name]) for name in values)
    file.unlink()
    assert all(torch.equal(tensor, values[name]) for name, tensor in build().items())
    (tmp_path / "hub" / "checkpoints" / file.name).unlink()
    with pytest.raises(ValueError, match="weights of torchvision's squeezenet1_1 cannot be read"):
        build()
    file.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="cannot be read: invalid hash value"):
        build()


def test_pretrained_weights_that_cannot_be_read(published, monkeypatch):
    def fail(**options):
        raise OSError("no connection")

    published[1].get_state_dict = fail
    message = "^the pretrained weights of torchvision's squeezenet1_1 cannot be read: no connect"
    with pytest.raises(ValueError, match=message):
        torchvision_network("squeezenet1_1", num_classes=5, pretrained=True)
    timm = pytest.importorskip("timm")

    def missing(name, **arguments):
        assert arguments == {"pretrained": True, "num_classes": 5, "in_chans": 3}
        raise RuntimeError("no such tag")

    monkeypatch.setattr(timm, "create_model", missing)
    message = "^the pretrained weights of timm's resnet18.x cannot be read: no such tag; a file"
    with pytest.raises(ValueError, match=message):
        timm_network("resnet18.x", num_classes=5, pretrained=True)


@pytest.mark.parametrize(
    ("build", "name", "message"),
    [
        (torchvision_network, "resnt18", "torchvision has no network 'resnt18'. Did you mean 're"),
        (torchvision_network, "fcn_resnet50", "torchvision has no network 'fcn_resnet50'"),
        (timm_network, "resnt18", "timm has no network 'resnt18'. Did you mean 'resn"),
        (timm_network, "resnt18.a1_in1k", "timm has no network 'resnt18'. Did you mean"),
    ],
)
def test_unknown_names(build, name, message):
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=f"^{message}"):
        build(name, num_classes=5)


def test_torchvision_takes_colour_images_only():
    with pytest.raises(ValueError, match="take images of 3 channels, not 1"):
        torchvision_network("resnet18", num_classes=5, channels=1)


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    message = r"^timm cannot be imported .*: pip install 'awlab\[zoo\]'$"
    with pytest.raises(ValueError, match=message):
        timm_network("resnet18", num_classes=5)
