import pytest
import torch
from torch import distributed as dist
from torch import nn

from awlab.nn import sync_batch_norm
from awlab.nn.sync_batch_norm import SyncBatchNorm, synchronise


@pytest.fixture
def twins(monkeypatch):
    """Pretend that another process does exactly what this one does."""
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda value: value.mul_(2))


def norm(**options):
    torch.manual_seed(0)
    module = nn.BatchNorm2d(3, **options)
    if module.affine:
        nn.init.normal_(module.weight)
        nn.init.normal_(module.bias)
    return module


@pytest.mark.parametrize("options", [{}, {"affine": False}, {"momentum": None}, {"eps": 0.1}])
def test_two_processes_are_one_batch(twins, options):
    x = torch.randn(4, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    whole, half = norm(**options).double(), synchronise(norm(**options)).double()
    expected = whole(torch.cat([x, x]))
    found = half(x)
    torch.testing.assert_close(found, expected[:4])
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(half.state_dict()[name], value)
    # The gradient of the loss of both processes, of which this one computes its own half.
    (own,) = torch.autograd.grad((found * weight).sum(), x)
    (both,) = torch.autograd.grad((expected * torch.cat([weight, weight])).sum(), x)
    torch.testing.assert_close(2 * own, both)


def test_without_running_statistics(twins):
    module = synchronise(norm(track_running_stats=False))
    x = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(module(x), norm(track_running_stats=False)(torch.cat([x, x]))[:4])


@pytest.mark.parametrize("training", [True, False])
def test_alone_it_is_batch_norm(training):
    x = torch.randn(4, 3, 5, 5)
    plain, synchronised = norm().train(training), synchronise(norm().train(training))
    assert isinstance(synchronised, SyncBatchNorm)
    assert synchronised.training is training
    assert torch.equal(synchronised(x), plain(x))
    for name, value in plain.state_dict().items():
        assert torch.equal(synchronised.state_dict()[name], value)


def test_in_evaluation_the_others_are_not_asked(twins, monkeypatch):
    monkeypatch.setattr(sync_batch_norm.dist, "all_reduce", None)
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(synchronise(norm()).eval()(x), norm().eval()(x))


def test_a_whole_network_is_converted_with_its_weights():
    normalisation = nn.BatchNorm2d(4)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(normalisation, nn.ReLU()))
    names = list(network.state_dict())
    converted = synchronise(network).get_submodule("1.0")
    assert isinstance(converted, SyncBatchNorm)
    assert converted.weight is normalisation.weight
    assert list(network.state_dict()) == names
