"""Batch normalisation over the batches of all processes, on any device.

`torch.nn.SyncBatchNorm` works on GPUs only. This one lets training on several CPU processes mean
the same as on one.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm


class SyncBatchNorm(_BatchNorm):
    """Normalise with the mean and variance over all processes; otherwise `torch.nn.BatchNorm2d`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 torch's name
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return self._as_one(input)
        dims = [dim for dim in range(input.ndim) if dim != 1]
        count = torch.full((1,), input.numel() / input.shape[1], device=input.device)
        count = _Sum.apply(count)
        mean = _Sum.apply(input.sum(dims)) / count
        centred = input - _along_channels(mean, input)
        variance = _Sum.apply(centred.square().sum(dims)) / count
        self._track(mean, variance, count)
        output = centred * _along_channels((variance + self.eps).rsqrt(), input)
        if self.affine:
            output = output * _along_channels(self.weight, input) + _along_channels(
                self.bias, input
            )
        return output

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 torch's name
        assert input.ndim >= 2, input.shape

    def _as_one(self, input: Tensor) -> Tensor:  # noqa: A002 torch's name
        return super().forward(input)

    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        batches, means, variances = self.num_batches_tracked, self.running_mean, self.running_var
        if batches is None or means is None or variances is None:
            return
        with torch.no_grad():
            batches.add_(1)
            momentum = 1 / float(batches) if self.momentum is None else self.momentum
            means.lerp_(mean, momentum)
            variances.lerp_(variance * count / (count - 1), momentum)


class _Sum(torch.autograd.Function):
    """The sum over processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        del ctx
        return _summed(value)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        del ctx
        return _summed(*grad_outputs)


def synchronise(module: nn.Module) -> nn.Module:
    """Replace each batch normalisation in a module by a synchronised one with the same state."""
    if isinstance(module, _BatchNorm) and not isinstance(module, SyncBatchNorm):
        new = SyncBatchNorm(
            module.num_features,
            module.eps,
            module.momentum,
            module.affine,
            module.track_running_stats,
        )
        new.weight, new.bias = module.weight, module.bias
        new.running_mean, new.running_var = module.running_mean, module.running_var
        new.num_batches_tracked = module.num_batches_tracked
        return new.train(module.training)
    for name, child in module.named_children():
        setattr(module, name, synchronise(child))
    return module


def _summed(value: Tensor) -> Tensor:
    value = value.contiguous().clone()
    dist.all_reduce(value)
    return value


def _along_channels(value: Tensor, like: Tensor) -> Tensor:
    return value.view(1, -1, *[1] * (like.ndim - 2))
