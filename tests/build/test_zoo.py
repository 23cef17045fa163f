import pytest
import torch
from torch import Tensor, nn

from awlab import build, spec
from awlab.nn import AWConv2d


def zoo(kind: type[spec.Torchvision | spec.Timm] = spec.Torchvision, **convert) -> spec.Model:
    name = "squeezenet1_1" if kind is spec.Torchvision else "mobilenetv3_small_050"
    if not convert:
        return kind(name=name)
    return kind(name=name, convert=spec.Conversion(conv=spec.AWConvolution(), **convert))


PATCHES = {"data": spec.PhotoPatches()}


@pytest.mark.parametrize("kind", [spec.Torchvision, spec.Timm])
def test_variants_of_a_network_of_a_library_share_its_weights(kind, digits):
    """Also the attention of layers that both convert, in whatever order they are built."""

    def weights(model: spec.Model, seed: int = 0) -> dict[str, Tensor]:
        return build.network(digits(model, seed).model_copy(update=PATCHES)).state_dict()

    plain, some, all_ = (weights(zoo(kind, **c)) for c in ({}, {"every": 3}, {"where": "*"}))
    assert len(plain) < len(some) < len(all_)
    for variant, other in ((plain, some), (some, all_)):
        for name, values in variant.items():
            assert torch.equal(values, other[name]), name
    reseeded = weights(zoo(kind, every=3), seed=1)
    drawn = [name for name in some if name.endswith("attention.0.weight")]
    assert drawn
    assert not any(torch.equal(some[name], reseeded[name]) for name in drawn)


def test_conversion_settings_arrive(digits):
    convert = {"where": "features.*", "kernel_size": 3, "every": 2, "start": "identity"}
    network = build.network(digits(zoo(**convert)).model_copy(update=PATCHES))
    layers = {n: layer for n, layer in network.named_modules() if isinstance(layer, AWConv2d)}
    assert list(layers)[:2] == ["features.0", "features.4.expand3x3"]
    assert {layer.kernel_size for layer in layers.values()} == {(3, 3)}
    assert not layers["features.0"].get_parameter("attention.4.weight").any()


def test_a_pretrained_network_is_asked_for(monkeypatch, digits):
    asked = []

    def pretend(name: str, **settings) -> nn.Module:
        asked.append((name, settings))
        return nn.Conv2d(3, 10, 1)

    monkeypatch.setattr("awlab.build.zoo.torchvision_network", pretend)
    model = spec.Torchvision(name="any", pretrained=True)
    build.network(digits(model).model_copy(update=PATCHES))
    assert asked == [("any", {"num_classes": 10, "channels": 3, "pretrained": True})]
