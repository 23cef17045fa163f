import itertools
import math

import pytest
import torch
from torch import nn

from awlab.faithfulness import STEPS, evidence_rank, faithfulness


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Dropout(0.9), nn.Flatten(), nn.Linear(384, 4)
    )


@pytest.fixture
def images():
    return torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def cams():
    return torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(2))


CLASSES = torch.tensor([2, 0, 3])


def probability(net, image, label):
    net.eval()
    with torch.no_grad():
        logits = net(image[None])[0]
    return math.exp(logits[label]) / sum(math.exp(logit) for logit in logits)


def test_average_drop_is_that_of_chattopadhay(net, images, cams):
    # sum_i max(0, Y_i - O_i) / Y_i * 100 / N, where O is the confidence in the image times its map
    expected = 0.0
    for image, cam, label in zip(images, cams, CLASSES.tolist(), strict=True):
        kept = image.clone()
        for y in range(8):
            for x in range(8):
                kept[:, y, x] *= cam[y, x]
        whole = probability(net, image, label)
        expected += max(0.0, whole - probability(net, kept, label)) / whole * 100 / 3
    found = faithfulness(net, images, cams, CLASSES)
    assert found.drop.mean().item() == pytest.approx(expected, rel=1e-4)
    assert expected > 0


@pytest.mark.parametrize("steps", [64, 16, 5])
def test_deletion_is_that_of_petsiuk(net, images, cams, steps):
    found = faithfulness(net, images, cams, CLASSES, steps=steps)
    for k, label in enumerate(CLASSES.tolist()):
        order = sorted(range(64), key=lambda p: -cams[k].flatten()[p].item())
        curve = []
        for step in range(steps + 1):
            image = images[k].clone().flatten(1)
            for pixel in order[: round(step * 64 / steps)]:
                image[:, pixel] = 0
            curve.append(probability(net, image.view(3, 8, 8), label))
        assert found.deletion[k].item() == pytest.approx(trapezoid(curve), rel=1e-4)


def test_insertion_is_that_of_petsiuk(net, images, cams):
    found = faithfulness(net, images, cams, CLASSES)
    for k, label in enumerate(CLASSES.tolist()):
        order = sorted(range(64), key=lambda p: -cams[k].flatten()[p].item())
        start = blurred(images[k]).flatten(1)
        curve = []
        for step in range(STEPS + 1):
            image = start.clone()
            for pixel in order[: round(step * 64 / STEPS)]:
                image[:, pixel] = images[k].flatten(1)[:, pixel]
            curve.append(probability(net, image.view(3, 8, 8), label))
        assert found.insertion[k].item() == pytest.approx(trapezoid(curve), rel=1e-3)


def trapezoid(curve):
    return sum((a + b) / 2 for a, b in itertools.pairwise(curve)) / (len(curve) - 1)


def blurred(image):
    """Each pixel the mean of 11 x 11 under a Gaussian of sigma 5, the image mirrored at its rim."""
    weights = [math.exp(-(d**2) / (2 * 5.0**2)) for d in range(-5, 6)]
    total = sum(weights)
    out = torch.zeros_like(image)
    for y in range(8):
        for x in range(8):
            for i, one in enumerate(weights):
                for j, other in enumerate(weights):
                    value = image[:, mirrored(y + i - 5), mirrored(x + j - 5)]
                    out[:, y, x] += one * other / total**2 * value
    return out


def mirrored(place):
    place = abs(place)
    return 14 - place if place > 7 else place


def test_a_true_map_is_more_faithful_than_its_reverse(images):
    # a network that sees the top left quarter alone
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2, bias=False))
    weight = torch.zeros(2, 3, 8, 8)
    weight[0, :, :4, :4] = images[0, :, :4, :4].sign()
    net[1].weight.data = weight.flatten(1)
    true = torch.zeros(1, 8, 8)
    true[0, :4, :4] = 1
    label = torch.tensor([0])
    good = faithfulness(net, images[:1], true, label)
    bad = faithfulness(net, images[:1], 1 - true, label)
    assert good.drop.item() == pytest.approx(0, abs=1e-4)
    assert bad.drop.item() == pytest.approx(50, abs=1)
    assert good.deletion < bad.deletion
    assert good.insertion > bad.insertion


def test_equal_evidence_goes_in_reading_order():
    cam = torch.tensor([[[0.0, 1.0], [1.0, 0.5]]])
    assert evidence_rank(cam).tolist() == [[[3, 0], [1, 2]]]


def test_the_network_is_left_as_it_was(net, images, cams):
    net.train()
    faithfulness(net, images, cams, CLASSES, steps=1)
    assert net.training
    assert net[2].training
    assert net[4].weight.grad is None


def test_the_smallest_images(cams):
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    found = faithfulness(net, torch.ones(3, 3, 2, 2), cams[:, :2, :2], CLASSES)
    assert found.insertion.isfinite().all()
