import pytest
import torch

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


def literal(q, k, v):
    """One query after the other."""
    rows = [
        (k[n, a] @ query).softmax(0) @ v[n, a]
        for n in range(q.shape[0])
        for a in range(q.shape[1])
        for query in q[n, a]
    ]
    return torch.stack(rows).view(*q.shape[:3], v.shape[3])


def test_value_and_gradients(operands):
    ours, expected = block_attention.attend(*operands), literal(*operands)
    torch.testing.assert_close(ours, expected)
    grad = torch.randn_like(ours)
    torch.testing.assert_close(
        torch.autograd.grad(ours, operands, grad), torch.autograd.grad(expected, operands, grad)
    )


def test_gradients_in_slices_of_other_tensors(operands):
    """Operands and gradients as they come from a convolution: transposed, or of a sum."""
    turned = [part.transpose(2, 3).contiguous().transpose(2, 3) for part in operands]
    ours = torch.autograd.grad(block_attention.attend(*turned).sum(), operands)
    torch.testing.assert_close(ours, torch.autograd.grad(literal(*operands).sum(), operands))


def test_blocks_are_small_and_meet_all(operands):
    q, k = (part.flatten(0, 1) for part in operands[:2])
    seen = torch.zeros(q.shape[:2])
    for heads, queries in block_attention.blocks(q, k):
        part = seen[heads, queries]
        assert part.numel() * k.shape[1] <= max(64, k.shape[1])
        part += 1
    assert (seen == 1).all()


def test_refuses_a_second_derivative(operands):
    y = block_attention.attend(*operands)
    (gradient,) = torch.autograd.grad(y.square().sum(), operands[0], create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        gradient.sum().backward()
