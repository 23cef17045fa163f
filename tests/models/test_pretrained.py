import pytest
import torch
import torchvision

from awlab.models.pretrained import load_backbone, torchvision_weights
from awlab.models.pyramid import ResNetBody, freeze_batch_norms
from awlab.models.resnet import ResNet
from awlab.nn import AWConv2d


@pytest.fixture(scope="module")
def values():
    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None).state_dict()


def test_a_backbone_computes_what_the_pretrained_network_did(values):
    theirs = torchvision.models.resnet18(weights=None)
    theirs.load_state_dict(values)
    ours = ResNetBody(ResNet(18, num_classes=3))
    freeze_batch_norms(ours)
    load_backbone(ours, values, of="IMAGENET1K_V1")
    x = torch.randn(1, 3, 64, 64)
    theirs.set_submodule("fc", torch.nn.Identity())
    torch.testing.assert_close(ours(x)["3"].mean((2, 3)), theirs.eval()(x))


def test_attention_begins_as_it_is(values):
    ours = ResNetBody(ResNet(18, num_classes=3, conv=AWConv2d))
    name = "layer1.0.conv1.attention.0.weight"
    before = ours.get_parameter(name).detach().clone()
    load_backbone(ours, values, of="IMAGENET1K_V1")
    assert torch.equal(ours.get_parameter(name), before)
    assert torch.equal(ours.get_parameter("layer1.0.conv1.weight"), values["layer1.0.conv1.weight"])


def test_old_weights_have_no_counters(values):
    old = {name: value for name, value in values.items() if "num_batches" not in name}
    ours = ResNetBody(ResNet(18, num_classes=3))
    load_backbone(ours, old, of="IMAGENET1K_V1")
    assert torch.equal(ours.get_parameter("layer4.1.bn2.weight"), old["layer4.1.bn2.weight"])


def test_weights_of_another_network(values):
    narrow = ResNetBody(ResNet(18, num_classes=3, width=32))
    with pytest.raises(
        ValueError, match=r"weights of V1 do not fit .*: conv1.weight \(64, 3, 7, 7"
    ):
        load_backbone(narrow, values, of="V1")
    deep = ResNetBody(ResNet(34, num_classes=3))
    with pytest.raises(ValueError, match=r"weights of V1 do not fit .*missing: layer1\.2\.conv1"):
        load_backbone(deep, values, of="V1")


def test_names_of_weights():
    message = (
        "torchvision has no backbone_weights 'IMAGENET1K_V3' of resnet50; it has IMAGENET1K_V1,"
    )
    with pytest.raises(ValueError, match=message):
        torchvision_weights("IMAGENET1K_V3", "resnet50")


def test_weights_that_cannot_be_fetched(monkeypatch, values):
    def fails(*arguments, **options):
        raise OSError("no route")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fails)
    with pytest.raises(ValueError, match="V1 of resnet18 cannot be read: no route"):
        torchvision_weights("IMAGENET1K_V1", "resnet18")
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", lambda *a, **k: values)
    assert torchvision_weights("IMAGENET1K_V1", "resnet18") is values
