"""Attention for CPUs, block by block: products of all pairs of pixels exist in the cache only."""

# Shape suffixes: N batch, a heads, A samples times heads, H W image, P = H W pixels, Q pixels of a
# block, k dims of queries and keys, v dims of values, R rows and columns of pixels (H + W).

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from awlab.nn.relative_positions import codes, relative_logits

BLOCK_ELEMENTS = 2**18
"""Logits of a block, for each thread: what a core's cache holds beside what is done with them."""

Block = tuple[slice, slice]
Tables = tuple[Tensor, Tensor]


def attend(q_NaPk: Tensor, k_NaPk: Tensor, v_NaPv: Tensor, tables: Tables | None = None) -> Tensor:
    """Return softmax(q k^T) v: (N, a, P, v); its gradients can be differentiated no further.

    Args:
        q_NaPk: Queries.
        k_NaPk: Keys.
        v_NaPv: Values.
        tables: Of relative positions, whose logits are added (`relative_logits`).
    """
    operands = (part.flatten(0, 1) for part in (q_NaPk, k_NaPk, v_NaPv))
    y_APv = BlockAttention.apply(*operands, *(table.to(q_NaPk) for table in tables or ()))
    return y_APv.unflatten(0, q_NaPk.shape[:2])


class BlockAttention(torch.autograd.Function):
    """softmax(q k^T) v that keeps its operands, and does each block's softmax twice."""

    @staticmethod
    def forward(q_APk: Tensor, k_APk: Tensor, v_APv: Tensor, *tables: Tensor) -> Tensor:
        y_APv = q_APk.new_empty(*q_APk.shape[:2], v_APv.shape[2])
        positions = relative_logits(q_APk, *tables) if tables else ()
        for heads, queries in blocks(q_APk, k_APk):
            here = [part[heads, queries] for part in positions]
            weights_AQP = softmax(q_APk[heads, queries], k_APk[heads], here)
            y_APv[heads, queries] = weights_AQP @ v_APv[heads]
        return y_APv

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad_APv: Tensor
    ) -> tuple[Tensor, ...]:
        q_APk, k_APk, v_APv, *tables = ctx.saved_tensors
        grad_q_APk, grad_k_APk, grad_v_APv = map(zeros_for_products, (q_APk, k_APk, v_APv))
        # Made again rather than kept: they take more room than the queries.
        with torch.enable_grad():
            sources = [part.detach().requires_grad_() for part in (q_APk, *tables)]
            positions = relative_logits(*sources) if tables else ()
        values = [part.detach() for part in positions]
        grads = [torch.empty_like(part) for part in values]
        sizes = [part.shape[2] for part in values]
        codes_PR = codes(sizes[0], sizes[1], q_APk) if tables else None
        for heads, queries in blocks(q_APk, k_APk):
            q_AQk, grad_AQv = q_APk[heads, queries], grad_APv[heads, queries]
            here = [part[heads, queries] for part in values]
            weights_AQP = softmax(q_AQk, k_APk[heads], here)
            grad_v_APv[heads].baddbmm_(weights_AQP.transpose(1, 2), grad_AQv)
            grad_AQP = grad_AQv @ v_APv[heads].transpose(1, 2)
            grad_AQP = torch.ops.aten._softmax_backward_data(
                grad_AQP, weights_AQP, 2, grad_AQP.dtype
            )
            torch.bmm(grad_AQP, k_APk[heads], out=grad_q_APk[heads, queries])
            grad_k_APk[heads].baddbmm_(grad_AQP.transpose(1, 2), q_AQk)
            if codes_PR is not None:
                grad_AQR = grad_AQP @ codes_PR
                for part, grad in zip(grads, grad_AQR.split(sizes, 2), strict=True):
                    part[heads, queries] = grad
        if not tables:
            return grad_q_APk, grad_k_APk, grad_v_APv
        grad_of_positions_APk, *grad_tables = torch.autograd.grad(positions, sources, grads)
        return grad_q_APk.add_(grad_of_positions_APk), grad_k_APk, grad_v_APv, *grad_tables


def zeros_for_products(like: Tensor) -> Tensor:
    """Return zeros of the same shape, laid out so that products can be written there fast."""
    # In float32 a transposed operand wants a transposed result; with fewer digits, libraries write
    # none, and torch's own loops take two hundred times as long.
    kept = like.element_size() >= torch.float32.itemsize
    layout = torch.preserve_format if kept else torch.contiguous_format
    return torch.zeros_like(like, memory_format=layout)


def softmax(q_AQk: Tensor, k_APk: Tensor, positions: list[Tensor]) -> Tensor:
    """Return how much each query takes of each pixel, given its logits with rows and columns."""
    k_AkP = k_APk.transpose(1, 2)
    if not positions:
        return (q_AQk @ k_AkP).softmax(2)
    rows_AQH, columns_AQW = positions
    logits_AQP = (rows_AQH.unsqueeze(3) + columns_AQW.unsqueeze(2)).flatten(2)
    return logits_AQP.baddbmm_(q_AQk, k_AkP).softmax(2)


def blocks(q_APk: Tensor, k_APk: Tensor) -> Iterator[Block]:
    """Split heads and queries, so that the logits of a block are few."""
    elements = BLOCK_ELEMENTS * torch.get_num_threads()
    heads, queries = q_APk.shape[:2]
    keys = k_APk.shape[1]
    queries_at_once = min(queries, max(1, elements // keys))
    heads_at_once = max(1, elements // (keys * queries_at_once))
    for head in range(0, heads, heads_at_once):
        for query in range(0, queries, queries_at_once):
            yield slice(head, head + heads_at_once), slice(query, query + queries_at_once)
