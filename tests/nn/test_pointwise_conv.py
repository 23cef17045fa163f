import pytest
import torch
from torch import nn

from awlab.nn.pointwise_conv import PointwiseConv2d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_is_the_ordinary_convolution(layout):
    torch.manual_seed(0)
    conv = PointwiseConv2d(4, 6, dtype=torch.float64)
    plain = nn.Conv2d(4, 6, 1, bias=False, dtype=torch.float64)
    plain.load_state_dict(conv.state_dict())
    x = torch.randn(3, 4, 2, 5, dtype=torch.float64).contiguous(memory_format=layout)
    y = conv(x.requires_grad_())
    torch.testing.assert_close(y, plain(x))
    assert y.is_contiguous(memory_format=torch.channels_last)
    grad = torch.randn_like(y)
    ours = torch.autograd.grad(y, (x, conv.weight), grad)
    torch.testing.assert_close(ours, torch.autograd.grad(plain(x), (x, plain.weight), grad))
