import pytest
import torch

from awlab.nn import sample_conv
from awlab.nn.geometry import Geometry

CASES = [
    (Geometry(padding=(1, 1)), (3, 3)),
    (Geometry(padding=(0, 2), dilation=(2, 1)), (2, 5)),
    (Geometry(padding=(3, 4), dilation=(3, 4)), (3, 3)),
    # The outer columns see nothing but padding.
    (Geometry(padding=(0, 9), dilation=(1, 9)), (2, 3)),
    (Geometry(), (1, 1)),
]


@pytest.mark.parametrize("shared", ["", "O", "I", "Oh", "Iw", "hw", "Ihw", "Ohw"])
@pytest.mark.parametrize(("geometry", "kernel"), CASES)
@pytest.mark.parametrize("chunk_bytes", [2**21, 1])
def test_value_and_gradients(shared, geometry, kernel, chunk_bytes, operands, monkeypatch):
    monkeypatch.setattr(sample_conv, "CHUNK_BYTES", chunk_bytes)
    sizes = zip("OIhw", (5, 3, *kernel), strict=True)
    gate = (3, *(1 if dim in shared else size for dim, size in sizes))
    drawn = operands(gate, geometry, kernel=kernel)
    assert sample_conv.fits(geometry, drawn.x.shape[2:], kernel)
    torch.testing.assert_close(sample_conv.output(*drawn.inputs), drawn.y)
    gradients = sample_conv.gradients(drawn.grad, *drawn.inputs)
    torch.testing.assert_close(gradients, drawn.gradients)


def test_channels_last(operands):
    drawn = operands((3, 5, 1, 3, 3), Geometry(padding=(1, 1)))
    drawn.x = drawn.x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(sample_conv.output(*drawn.inputs), drawn.y)
    gradients = sample_conv.gradients(drawn.grad, *drawn.inputs)
    torch.testing.assert_close(gradients, drawn.gradients)


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(),
        Geometry(padding=(1, 2)),
        Geometry(padding=(3, 1)),
        Geometry(padding=(1, 1), stride=(1, 2)),
        Geometry(padding=(1, 1), groups=3),
    ],
)
def test_does_not_fit(geometry):
    assert not sample_conv.fits(geometry, (6, 6), (3, 3))


@pytest.mark.parametrize("offset", [-9, -2, -1, 0, 1, 2, 9])
def test_shifts_columns(offset):
    x = torch.randn(2, 3, 4, 5)
    image = sample_conv.Shifted(x, [[0], [offset]], 4, 2)
    for _ in range(2):  # the memory is used again
        image.fill(x)
    (pixels,) = image.rows_NKP
    shifted = pixels.unflatten(2, (4, 5))
    for column in range(5):
        seen = column + offset
        expected = x[..., seen] if 0 <= seen < 5 else torch.zeros(2, 3, 4)
        assert torch.equal(shifted[..., column], expected)
