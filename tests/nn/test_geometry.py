import pytest
import torch
import torch.nn.functional as F
from torch import nn

from awlab.nn.geometry import Geometry, like_image, overlap, pad, taps_last

CASES = [
    Geometry(),
    Geometry(stride=(2, 3), padding=(1, 2)),
    Geometry(padding=(4, 0), dilation=(3, 2)),
    Geometry(stride=(3, 1), padding=(0, 5), dilation=(1, 4)),
]


@pytest.mark.parametrize("geometry", CASES)
def test_output_size_is_that_of_a_convolution(geometry):
    y = F.conv2d(torch.randn(1, 1, 9, 11), torch.randn(1, 1, 3, 2), None, *geometry)
    assert geometry.output_size((9, 11), (3, 2)) == y.shape[2:]


@pytest.mark.parametrize("geometry", CASES)
@pytest.mark.parametrize("dim", [0, 1])
def test_overlap_lists_what_a_tap_connects(geometry, dim):
    length, kernel = 9, 3
    count = geometry.output_size((length, length), (kernel, kernel))[dim]
    for tap in range(kernel):
        outputs, pixels = overlap(geometry, dim, tap, length, count)
        pairs = zip(range(count)[outputs], range(length)[pixels], strict=True)
        offset = tap * geometry.dilation[dim] - geometry.padding[dim]
        seen = [(q, q * geometry.stride[dim] + offset) for q in range(count)]
        assert list(pairs) == [(q, pixel) for q, pixel in seen if 0 <= pixel < length]


def test_overlap_may_be_empty():
    outputs, pixels = overlap(Geometry(padding=(5, 5), dilation=(5, 5)), 0, 0, 3, 3)
    assert not range(3)[outputs]
    assert not range(3)[pixels]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", ["same", "valid", 1, (0, 2)])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4)])
def test_pads_as_torch(mode, padding, kernel):
    conv = nn.Conv2d(2, 2, kernel, padding=padding, dilation=(1, 2), padding_mode=mode, bias=False)
    x = torch.randn(2, 2, 8, 7)
    padded, geometry = pad(conv, x)
    torch.testing.assert_close(F.conv2d(padded, conv.weight, None, *geometry), conv(x))


def test_copies_no_image_that_zeros_surround_evenly():
    x = torch.randn(1, 2, 5, 5)
    padded, geometry = pad(nn.Conv2d(2, 2, 3, padding="same"), x)
    assert padded is x
    assert geometry == Geometry(padding=(1, 1))


def test_taps_last():
    weight_hwOI = torch.randn(2, 5, 4, 3)
    last = taps_last(weight_hwOI)
    assert torch.equal(last[:, :, 1, 4], weight_hwOI[1, 4])
    assert last.is_contiguous()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_keeps_the_memory_format(layout):
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=layout)
    image = like_image(x, 6, (2, 3))
    assert image.shape == (2, 6, 2, 3)
    assert image.is_contiguous(memory_format=layout)
