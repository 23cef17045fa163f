import pytest
import torch
from torch import nn

from awlab.gradcam import GradCAM, default_layer, list_layers
from awlab.models import ResNet, wide_resnet
from awlab.nn import AWConv2d


class Net(nn.Module):
    """Two stages, an in-place activation after the layer, one module that is never run."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.relu = nn.ReLU(inplace=True)
        self.stage = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.unused = nn.Conv2d(3, 3, 1)
        self.side = nn.Conv2d(3, 3, 1)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        self.side(x)
        x = self.stage(self.relu(self.stem(x)))
        return self.fc(self.dropout(self.pool(x.relu_()).flatten(1)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def images():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_equals_the_hand_computation_on_a_linear_network():
    # logits = W . mean over positions, so that the gradient at each position is W / (h w)
    # and Eq. 2 is relu(sum_c W[k, c] / 16 * maps[c]).
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    weight = torch.randn(5, 3, dtype=torch.float64)
    net = nn.Sequential(nn.Identity(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3, 5).double())
    net[3].weight.data = weight
    target = torch.tensor([4, 1])

    cam = GradCAM(net, "0")(maps, target)

    for n in range(2):
        expected = torch.zeros(4, 4, dtype=torch.float64)
        for c in range(3):
            expected += weight[target[n], c] / 16 * maps[n, c]
        expected = expected.clamp_min(0)
        assert torch.allclose(cam[n].double(), expected / expected.max(), atol=1e-6)


@pytest.mark.parametrize("layer", ["stem", "stem.0", "stage"])
@pytest.mark.parametrize("target", [None, torch.tensor([2, 0, 1, 2])])
def test_equals_captum(net, images, layer, target):
    attr = pytest.importorskip("captum.attr")
    net.eval()
    chosen = net(images).argmax(1) if target is None else target
    oracle = attr.LayerGradCam(net, net.get_submodule(layer))
    maps = oracle.attribute(images, chosen, relu_attributions=True)
    maps = attr.LayerAttribution.interpolate(maps, (8, 8), "bilinear").detach()[:, 0]
    peak = maps.amax((1, 2), keepdim=True)
    assert (peak > 0).any()

    cam = GradCAM(net, layer)(images, target)

    assert torch.allclose(cam, maps / peak.where(peak > 0, 1), atol=1e-6)


def test_maps_span_zero_to_one(net, images):
    cam = GradCAM(net, "stem")(images)
    assert cam.shape == (4, 8, 8)
    assert cam.dtype == torch.float32
    assert cam.min() >= 0
    assert torch.equal(cam.amax((1, 2)), torch.ones(4))


def test_an_image_without_evidence_has_a_map_of_zeros(net, images):
    nn.init.zeros_(net.fc.weight)
    assert torch.equal(GradCAM(net, "stage")(images), torch.zeros(4, 8, 8))


def test_inference_mode_and_frozen_parameters_change_nothing(net, images):
    expected = GradCAM(net, "stage")(images)
    net.requires_grad_(requires_grad=False)
    with torch.inference_mode():
        assert torch.equal(GradCAM(net, "stage")(images.clone()), expected)
    with torch.no_grad():
        assert torch.equal(GradCAM(net, "stage")(images), expected)


def test_the_memory_format_changes_nothing(net, images):
    expected = GradCAM(net, "stage")(images)
    net.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
    assert torch.allclose(GradCAM(net, "stage")(images), expected, atol=1e-5)


def test_autocast_changes_little(net, images):
    expected = GradCAM(net, "stem")(images)
    with torch.autocast("cpu", torch.bfloat16):
        cam = GradCAM(net, "stem")(images)
    assert cam.dtype == torch.float32
    assert torch.allclose(cam, expected, atol=0.05)


def test_the_network_is_left_as_it_was(net, images):
    net.train()
    net.stem[1].eval()  # a frozen batch normalisation
    net.fc.weight.grad = torch.ones_like(net.fc.weight)
    running_mean = net.stem[1].running_mean.clone()

    GradCAM(net, "stage")(images)

    assert [m.training for m in (net, net.stem, net.stem[1], net.dropout)] == [1, 1, 0, 1]
    assert torch.equal(net.fc.weight.grad, torch.ones_like(net.fc.weight))
    assert net.stage.weight.grad is None
    assert torch.equal(net.stem[1].running_mean, running_mean)
    assert not net.stage._forward_hooks


def test_list_layers_names_what_yields_maps_in_order_of_execution(net, images):
    assert list_layers(net, images) == {
        "side": (3, 8, 8),
        "stem.0": (4, 8, 8),
        "stem.1": (4, 8, 8),
        "stem": (4, 8, 8),
        "relu": (4, 8, 8),
        "stage": (5, 4, 4),
    }


def test_default_layer_is_the_last_one_with_maps(net, images):
    assert default_layer(net, images) == "stage"
    assert default_layer(net, images[..., :2, :2]) == "relu"  # the stage yields 1x1 here


def test_default_layer_needs_maps(net, images):
    with pytest.raises(ValueError, match=r"no layer of Net yields maps of 2x2 or more .* 1x1"):
        default_layer(net, images[..., :1, :1])


def test_the_attention_branch_of_a_convolution_is_no_default_layer():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), AWConv2d(4, 4, 3, padding=1, stride=2))
    images = torch.randn(2, 3, 8, 8)  # the second layer yields 1x1, its attention 3x3
    assert list(list_layers(net, images))[-1] == "1.attention"
    assert default_layer(net, images) == "0"


def test_misspelt_layer(net):
    with pytest.raises(
        ValueError, match=r"no layer 'stagee' in Net; did you mean 'stage' or 'stem'\?"
    ):
        GradCAM(net, "stagee")
    with pytest.raises(ValueError, match=r"no layer '' in Net; its parts are: stem, relu, stage"):
        GradCAM(net, "")


def test_layer_without_maps(net, images):
    with pytest.raises(ValueError, match=r"layer 'fc' yields \(4, 3\), not maps"):
        GradCAM(net, "fc")(images)


def test_layer_that_is_never_run(net, images):
    with pytest.raises(ValueError, match="layer 'unused' takes no part in the forward pass"):
        GradCAM(net, "unused")(images)


@pytest.mark.parametrize("frozen", [False, True])
def test_layer_that_does_not_lead_to_the_logits(net, images, frozen):
    net.requires_grad_(requires_grad=not frozen)
    with pytest.raises(ValueError, match="layer 'side' does not lead to the logits"):
        GradCAM(net, "side")(images)


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (lambda: ResNet(18, num_classes=3, width=4, stem="cifar", conv=AWConv2d), "layer4"),
        (lambda: ResNet(50, num_classes=3, width=4), "layer4"),
        (lambda: wide_resnet(10, 1, num_classes=3, conv=AWConv2d), "relu"),
    ],
)
def test_default_layer_of_our_networks_ends_their_features(network, layer):
    torch.manual_seed(0)
    model, images = network(), torch.randn(2, 3, 64, 64)
    assert default_layer(model, images) == layer
    assert GradCAM(model, layer)(images).amax((1, 2)).tolist() == [1, 1]
