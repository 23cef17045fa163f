import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from awlab.nn import pooling
from awlab.nn.pooling import adaptive_average_pool


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 5), (7, 7)])
@pytest.mark.parametrize("image", [(6, 9), (7, 4), (1, 1), (3, 8)])
def test_equals_torch(image, size):
    x = torch.randn(2, 3, *image, dtype=torch.float64)
    torch.testing.assert_close(adaptive_average_pool(x, size), F.adaptive_avg_pool2d(x, size))


def test_averages_bin_by_bin():
    x = torch.randn(1, 1, 5, 4, dtype=torch.float64)
    pooled = adaptive_average_pool(x, (2, 2))
    assert pooled[0, 0, 0, 1].item() == pytest.approx(x[0, 0, 0:3, 2:4].mean().item())
    assert pooled[0, 0, 1, 0].item() == pytest.approx(x[0, 0, 2:5, 0:2].mean().item())


def test_gradient():
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: adaptive_average_pool(x, (3, 2)), (x,))


def test_memory_format_does_not_matter():
    x = torch.randn(2, 3, 6, 5)
    other = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        adaptive_average_pool(x, (3, 3)), adaptive_average_pool(other, (3, 3))
    )


def test_does_not_overflow_in_half_precision():
    x = torch.full((1, 1, 32, 32), 1000.0, dtype=torch.float16)
    torch.testing.assert_close(adaptive_average_pool(x, (1, 1)), x[:, :, :1, :1])


def test_what_is_kept_of_an_evaluation_serves_training():
    pooling._kept.cache_clear()
    x = torch.randn(2, 2, 5, 4, requires_grad=True)
    with torch.inference_mode():
        expected = adaptive_average_pool(x, (3, 2))
    y = adaptive_average_pool(x, (3, 2))
    assert torch.equal(y, expected)
    y.sum().backward()


def test_what_has_no_values_is_not_kept():
    pooling._kept.cache_clear()
    with FakeTensorMode() as mode:
        adaptive_average_pool(mode.from_tensor(torch.randn(2, 2, 5, 4)), (3, 2))
    assert pooling._kept.cache_info().currsize == 0


def test_the_result_is_laid_out_as_the_image():
    x = torch.randn(2, 3, 6, 5)
    assert adaptive_average_pool(x, (3, 3)).is_contiguous()
    x = x.contiguous(memory_format=torch.channels_last)
    assert adaptive_average_pool(x, (3, 3)).is_contiguous(memory_format=torch.channels_last)
