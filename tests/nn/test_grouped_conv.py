import pytest
import torch

from awlab.nn import grouped_conv
from awlab.nn.geometry import Geometry


@pytest.fixture(params=[1, 2**20], ids=["in chunks", "at once"], autouse=True)
def _chunk(request, monkeypatch):
    monkeypatch.setattr(grouped_conv, "ELEMENTS_PER_CHUNK", request.param)


@pytest.mark.parametrize("shared", ["", "O", "I", "Oh", "Iw", "OIhw"])
@pytest.mark.parametrize(
    ("geometry", "kernel"),
    [
        (Geometry(padding=(1, 1)), (3, 2)),
        (Geometry(stride=(2, 1), padding=(0, 2), dilation=(1, 3)), (3, 2)),
        (Geometry(padding=(1, 0), groups=2), (3, 2)),
        (Geometry(), (1, 1)),
        (Geometry(stride=(2, 2)), (1, 1)),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_value_and_gradients(shared, geometry, kernel, layout, operands):
    sizes = zip("OIhw", (6, 4 // geometry.groups, *kernel), strict=True)
    gate = (3, *(1 if dim in shared else size for dim, size in sizes))
    drawn = operands(gate, geometry, channels=(6, 4), kernel=kernel)
    drawn.x = drawn.x.contiguous(memory_format=layout)
    torch.testing.assert_close(grouped_conv.output(*drawn.inputs), drawn.y)
    gradients = grouped_conv.gradients(drawn.grad, *drawn.inputs)
    torch.testing.assert_close(gradients, drawn.gradients)


def test_blocks_of_consecutive_samples_share_a_gate(operands):
    drawn = operands((6, 4, 2, 3, 3), Geometry(padding=(1, 1)), channels=(4, 2))
    gate = drawn.gate[::3]
    each = gate.repeat_interleave(3, 0)
    x, weight, _, geometry = drawn.inputs
    by_block = grouped_conv.output(x, weight, gate, geometry)
    torch.testing.assert_close(by_block, grouped_conv.output(x, weight, each, geometry))
    *_, grad_gate = grouped_conv.gradients(drawn.grad, x, weight, gate, geometry)
    *_, grad_each = grouped_conv.gradients(drawn.grad, x, weight, each, geometry)
    torch.testing.assert_close(grad_gate, grad_each.unflatten(0, (2, 3)).sum(1))


def test_chunks_are_small_and_meet_all(monkeypatch):
    monkeypatch.setattr(grouped_conv, "ELEMENTS_PER_CHUNK", 3 * 2 * 100)
    threads = torch.get_num_threads()
    x, y, gate = torch.empty(20, 5, 4, 4), torch.empty(20, 4, 5, 5), torch.empty(10, 4, 1, 1, 1)
    parts = list(grouped_conv.chunks(x, y, torch.empty(4, 5, 3, 3), gate))
    step = max(threads, 3)  # blocks of two samples of 100 numbers
    assert [(blocks.start, min(blocks.stop, 10)) for _, blocks in parts] == [
        (start, min(10, start + step)) for start in range(0, 10, step)
    ]
    assert all(s == slice(2 * b.start, 2 * b.stop) for s, b in parts)
    x, gate = x.to("meta"), gate.to("meta")
    assert list(grouped_conv.chunks(x, y, gate[0], gate)) == [(slice(0, 20), slice(0, 10))]
