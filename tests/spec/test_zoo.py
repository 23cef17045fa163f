import pytest

from awlab.spec.conv import AWConvolution
from awlab.spec.errors import SpecError
from awlab.spec.load import parse
from awlab.spec.model import Model
from awlab.spec.zoo import Conversion, Timm, Torchvision

CONVERT = {"where": "layer*.conv2", "conv": {"kind": "aw"}}


def test_networks_of_libraries_are_values():
    data = {"kind": "torchvision", "name": "resnet18", "convert": CONVERT}
    conversion = Conversion(where="layer*.conv2", conv=AWConvolution())
    assert parse(Model, data) == Torchvision(name="resnet18", convert=conversion)
    assert not parse(Model, data).model_dump()["pretrained"]
    data = {"kind": "timm", "name": "resnet18.a1_in1k", "pretrained": True}
    assert parse(Model, data) == Timm(name="resnet18.a1_in1k", pretrained=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "name: must have at least 1 character|name: "),
        ({"convert": {"where": "*"}}, "convert.conv: "),
        ({"convert": {**CONVERT, "every": 0}}, "convert.every: must be at least 1, not 0"),
        ({"convert": {**CONVERT, "kernel_size": 0}}, "kernel_size: must be at least 1, not 0"),
        ({"convert": {**CONVERT, "start": "zero"}}, "start: must be 'paper' or 'identity', not"),
        ({"convert": {**CONVERT, "conv": None}}, "convert.conv: "),
        (
            {"pretrained": True, "weights": {"file": "net.pt", "sha256": 64 * "0"}},
            "pretrained would be replaced by weights: give one of them",
        ),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(SpecError, match=message):
        parse(Model, {"kind": "torchvision", "name": "resnet18", **change})


def test_what_follows_needs_no_beginning():
    weights = {"file": "net.pt", "sha256": 64 * "0"}
    for begun in ({"pretrained": True}, {"weights": weights}):
        model = parse(Torchvision, {"kind": "torchvision", "name": "resnet18", **begun})
        assert model.structure == Torchvision(name="resnet18")
        assert model.beginning != Torchvision(name="resnet18").beginning
