import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from awlab.attention_maps import BINS, attention_of_layers, class_share
from awlab.nn import AWConv2d

CLASS_N = torch.tensor([0, 2, 0, 2, 2, 0, 0, 2, 0, 2, 0, 0, 2, 0, 2, 2, 2, 0])


def network(expand, kernel=3) -> Any:
    torch.manual_seed(0)
    net: Any = nn.Sequential(
        nn.Conv2d(3, 4, 1), AWConv2d(4, 6, kernel, padding=kernel // 2, expand=expand, reduction=2)
    )
    nn.init.normal_(net[1].attention[4].weight, 2)
    return net.eval()


@pytest.fixture
def images():
    return torch.randn(18, 3, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("expand", "distinct", "followed"),
    [
        ({"c1": "full"}, [6, 1, 3, 3], "c2"),
        ({"c1": 2}, [6, 2, 3, 3], "c2"),
        ({}, [6, 4, 3, 3], "c2"),
        ({"c2": "full", "h": "full"}, [1, 4, 1, 3], "c1"),
        ({"c2": "full", "c1": "full"}, [1, 1, 3, 3], "taps"),
    ],
)
def test_numbers_are_those_of_the_whole_maps(images, expand, distinct, followed):
    net = network(expand)
    (found,) = attention_of_layers(net, images, CLASS_N, [2, 0])
    maps = net[1].attention_maps(net[0](images)).expand(18, 6, 4, 3, 3).detach().double().numpy()
    assert (found.layer, found.f2, found.followed) == ("1", "residual", followed)
    assert list(found.sizes.values()) == [6, 4, 3, 3]
    assert list(found.distinct.values()) == distinct
    assert found.mean == pytest.approx(maps.mean())
    assert found.sd == pytest.approx(maps.std(), rel=1e-4)
    counts, _ = np.histogram(maps.astype(np.float32), BINS, (0, 1))
    assert found.histogram == pytest.approx(counts / counts.sum(), abs=1e-3)
    effects = analysis_of_variance(maps.reshape(18, 6, 4, 9))
    for name, expected in effects.items():
        assert found.variance[name] == pytest.approx(expected, abs=1e-6), name
    assert found.variance["rest"] == pytest.approx(1 - sum(effects.values()), abs=1e-6)
    over = {"c2": (2, 3, 4), "c1": (1, 3, 4), "taps": (1, 2)}[followed]
    profile = maps.mean(over).reshape(18, -1)
    expected = [profile[CLASS_N.numpy() == label].mean(0) for label in (2, 0)]
    assert np.array(found.by_class) == pytest.approx(np.array(expected))


def analysis_of_variance(values):
    """Main effects and interactions with the image, of (image, c2, c1, tap), as defined."""
    mean, total = values.mean(), ((values - values.mean()) ** 2).mean()
    axes = {"image": 0, "c2": 1, "c1": 2, "taps": 3}
    main = {}
    for name, axis in axes.items():
        over = tuple(k for k in range(4) if k != axis)
        main[name] = values.mean(over, keepdims=True) - mean
    shares = {name: (effect**2).mean() / total for name, effect in main.items()}
    for name in ("c2", "c1", "taps"):
        over = tuple(k for k in range(4) if k not in (0, axes[name]))
        cells = values.mean(over, keepdims=True)
        interaction = cells - mean - main["image"] - main[name]
        shares[f"image_{name}"] = (interaction**2).mean() / total
    return shares


def test_maps_that_samples_share_do_not_vary_with_the_image(images):
    (found,) = attention_of_layers(network({"n": "full", "c1": "full"}), images, CLASS_N, [0, 2])
    assert found.variance["image"] == pytest.approx(0, abs=1e-9)
    assert found.class_share == 0


def test_constant_maps_have_no_variance_to_share(images):
    net = network({"c1": "full"})
    nn.init.zeros_(net[1].attention[4].weight)
    (found,) = attention_of_layers(net, images, CLASS_N, [0, 2])
    assert found.sd == pytest.approx(0, abs=1e-6)
    assert found.mean == pytest.approx(0.5)
    assert found.class_share == 0
    assert json.loads(json.dumps(found.to_dict()))["variance"]["rest"] <= 1


def test_a_network_without_attention_has_none(images):
    assert attention_of_layers(nn.Conv2d(3, 4, 1), images, CLASS_N, [0]) == []


def test_layers_stand_in_the_order_in_which_they_run(images):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.second = AWConv2d(4, 4, 1)
            self.first = AWConv2d(3, 4, 1)
            self.unused = AWConv2d(3, 4, 1)

        def forward(self, x):
            return self.second(self.first(x))

    net = Net().train()
    found = attention_of_layers(net, images, CLASS_N, [0, 2])
    assert [one.layer for one in found] == ["first", "second"]
    assert net.first.training
    assert not net.first._forward_pre_hooks


def test_of_many_channels_some_are_followed(images):
    net = nn.Sequential(AWConv2d(3, 130, 1))
    (found,) = attention_of_layers(net, images, CLASS_N, [0, 2])
    assert np.array(found.by_class).shape == (2, 64)


def test_class_share_is_the_adjusted_coefficient_of_determination():
    # one feature, by hand: SS_total = 10, SS_within = 1
    profile = torch.tensor([[0.0], [1.0], [3.0], [4.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    expected = 1 - (1.0 / 2) / (10.0 / 3)
    assert class_share(profile, labels, [0, 1]) == pytest.approx(expected)
    assert class_share(profile, torch.tensor([0, 1, 0, 1]), [0, 1]) == 0
    assert class_share(profile[:2], labels[1:3], [0, 1]) == 0


def test_class_share_of_noise_is_about_zero():
    torch.manual_seed(0)
    profile = torch.randn(200, 500, dtype=torch.float64)
    assert class_share(profile, torch.arange(200) % 20, range(20)) < 0.01
