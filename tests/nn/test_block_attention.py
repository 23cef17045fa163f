import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from awlab.nn import block_attention

SHAPES = {"several heads": (2, 3, 4, 5, 2), "several queries": (2, 2, 40, 3, 1), "one": (1,) * 5}


@pytest.fixture(params=list(SHAPES.values()), ids=list(SHAPES))
def operands(request, monkeypatch):
    """Queries, keys and values that take several blocks of at most 64 logits."""
    monkeypatch.setattr(block_attention, "BLOCK_ELEMENTS", 64 // torch.get_num_threads())
    samples, heads, pixels, dims, value_dims = request.param
    torch.manual_seed(0)
    return [
        torch.randn(samples, heads, pixels, size, dtype=torch.float64, requires_grad=True)
        for size in (dims, dims, value_dims)
    ]


def literal(q, k, v, added=None):
    """One query after the other; `added` to the logits of all pairs of pixels."""
    rows = [
        ((k[n, a] @ q[n, a, i]) + (0 if added is None else added[n, a, i])).softmax(0) @ v[n, a]
        for n in range(q.shape[0])
        for a in range(q.shape[1])
        for i in range(q.shape[2])
    ]
    return torch.stack(rows).view(*q.shape[:3], v.shape[3])


def test_value_and_gradients(operands):
    ours, expected = block_attention.attend(*operands), literal(*operands)
    torch.testing.assert_close(ours, expected)
    grad = torch.randn_like(ours)
    torch.testing.assert_close(
        torch.autograd.grad(ours, operands, grad), torch.autograd.grad(expected, operands, grad)
    )


HEIGHTS = {4: 2, 40: 8, 1: 1}


def tables_for(q):
    """Tables of relative positions, and the size of the image."""
    height = HEIGHTS[q.shape[2]]
    size = (height, q.shape[2] // height)
    drawing = {"dtype": torch.float64, "requires_grad": True}
    return size, [torch.randn(2 * length - 1, q.shape[3], **drawing) for length in size]


def test_relative_positions(operands):
    (height, width), (rel_h, rel_w) = tables_for(operands[0])
    pixels = [(y, x) for y in range(height) for x in range(width)]
    keys = [
        [rel_h[jy - iy + height - 1] + rel_w[jx - ix + width - 1] for jy, jx in pixels]
        for iy, ix in pixels
    ]
    position_PPk = torch.stack([torch.stack(of_query) for of_query in keys])
    added = torch.einsum("napk,pjk->napj", operands[0], position_PPk)
    expected = literal(*operands, added)  # pyright: ignore[reportCallIssue]
    ours = block_attention.attend(*operands, (rel_h, rel_w))  # pyright: ignore[reportCallIssue]
    torch.testing.assert_close(ours, expected)
    grad, sources = torch.randn_like(ours), (*operands, rel_h, rel_w)
    torch.testing.assert_close(
        torch.autograd.grad(ours, sources, grad), torch.autograd.grad(expected, sources, grad)
    )


def test_keeps_no_more_than_its_operands(operands):
    _, tables = tables_for(operands[0])
    kept = []
    with saved_tensors_hooks(lambda x: (kept.append(x.numel()), x)[1], lambda x: x):
        block_attention.attend(*operands, tables)  # pyright: ignore[reportCallIssue]
    assert sorted(kept) == sorted(part.numel() for part in (*operands, *tables))


def test_gradients_in_slices_of_other_tensors(operands):
    """Operands and gradients as they come from a convolution: transposed, or of a sum."""
    turned = [part.transpose(2, 3).contiguous().transpose(2, 3) for part in operands]
    ours = torch.autograd.grad(block_attention.attend(*turned).sum(), operands)
    torch.testing.assert_close(ours, torch.autograd.grad(literal(*operands).sum(), operands))


def test_blocks_are_small_and_meet_all(operands):
    q, k = (part.flatten(0, 1).transpose(1, 2) for part in operands[:2])
    seen = torch.zeros(q.shape[0], q.shape[2])
    for heads, queries in block_attention.blocks(q, k):
        part = seen[heads, queries]
        assert part.numel() * k.shape[2] <= max(64, k.shape[2])
        part += 1
    assert (seen == 1).all()


def test_refuses_a_second_derivative(operands):
    y = block_attention.attend(*operands)
    (gradient,) = torch.autograd.grad(y.square().sum(), operands[0], create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        gradient.sum().backward()
