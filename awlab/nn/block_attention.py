"""Attention for CPUs, block by block: products of all pairs of pixels exist in the cache only."""

# Shape suffixes: N batch, a heads, A samples times heads, H W image, P = H W pixels, Q pixels of a
# block, k dims of queries and keys, v dims of values.

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from awlab.nn.relative_positions import relative_logits

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
    operands = (part.transpose(2, 3).flatten(0, 1) for part in (q_NaPk, k_NaPk, v_NaPv))
    y_AvP = BlockAttention.apply(*operands, *(table.to(q_NaPk) for table in tables or ()))
    return y_AvP.unflatten(0, q_NaPk.shape[:2]).transpose(2, 3)


class BlockAttention(torch.autograd.Function):
    """softmax(q k^T) v that keeps its operands, and does each block's softmax twice.

    Pixels come last: libraries for CPUs multiply few dims by many pixels up to ten times as fast
    as many pixels by few dims. `torch.bmm` takes transposed operands as they are, where `@` copies
    them in lower precision.
    """

    @staticmethod
    def forward(q_AkP: Tensor, k_AkP: Tensor, v_AvP: Tensor, *tables: Tensor) -> Tensor:
        y_AvP = torch.empty_like(v_AvP, memory_format=torch.contiguous_format)
        positions = relative_logits(q_AkP.transpose(1, 2), *tables) if tables else ()
        (room_AQP,) = rooms(1, q_AkP, k_AkP)
        for heads, queries in blocks(q_AkP, k_AkP):
            here = [part[heads, queries] for part in positions]
            weights_AQP = softmax(q_AkP[heads, :, queries], k_AkP[heads], here, room_AQP)
            y_AvP[heads, :, queries] = torch.bmm(v_AvP[heads], weights_AQP.transpose(1, 2))
        return y_AvP

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad_AvP: Tensor
    ) -> tuple[Tensor, ...]:
        q_AkP, k_AkP, v_AvP, *tables = ctx.saved_tensors
        grad_q_AkP, grad_k_AkP, grad_v_AvP = (
            torch.zeros_like(part, memory_format=torch.contiguous_format)
            for part in (q_AkP, k_AkP, v_AvP)
        )
        # Made again rather than kept: they take more room than the queries.
        with torch.enable_grad():
            sources = [part.detach().requires_grad_() for part in (q_AkP, *tables)]
            positions = relative_logits(sources[0].transpose(1, 2), *sources[1:]) if tables else ()
        values = [part.detach() for part in positions]
        grads = [torch.empty_like(part) for part in values]
        room_AQP, other_room_AQP = rooms(2, q_AkP, k_AkP)
        for heads, queries in blocks(q_AkP, k_AkP):
            q_AkQ, grad_AvQ = q_AkP[heads, :, queries], grad_AvP[heads, :, queries]
            here = [part[heads, queries] for part in values]
            weights_AQP = softmax(q_AkQ, k_AkP[heads], here, room_AQP)
            grad_v_AvP[heads].baddbmm_(grad_AvQ, weights_AQP)
            grad_AQP = of_block(other_room_AQP, weights_AQP.shape)
            torch.bmm(grad_AvQ.transpose(1, 2), v_AvP[heads], out=grad_AQP)
            torch.ops.aten._softmax_backward_data(
                grad_AQP, weights_AQP, 2, grad_AQP.dtype, grad_input=grad_AQP
            )
            grad_q_AkP[heads, :, queries] = torch.bmm(k_AkP[heads], grad_AQP.transpose(1, 2))
            grad_k_AkP[heads].baddbmm_(q_AkQ, grad_AQP)
            if here:
                grad_AQHW = grad_AQP.unflatten(2, [part.shape[2] for part in here])
                for part, others in zip(grads, (3, 2), strict=True):
                    torch.sum(grad_AQHW, others, out=part[heads, queries])
        if not tables:
            return grad_q_AkP, grad_k_AkP, grad_v_AvP
        grad_of_positions_AkP, *grad_tables = torch.autograd.grad(positions, sources, grads)
        return grad_q_AkP.add_(grad_of_positions_AkP), grad_k_AkP, grad_v_AvP, *grad_tables


def softmax(q_AkQ: Tensor, k_AkP: Tensor, positions: list[Tensor], room_AQP: Tensor) -> Tensor:
    """Return how much each query takes of each pixel, given its logits with rows and columns."""
    weights_AQP = of_block(room_AQP, (len(q_AkQ), q_AkQ.shape[2], k_AkP.shape[2]))
    if positions:
        rows_AQH, columns_AQW = positions
        weights_AQHW = weights_AQP.unflatten(2, (rows_AQH.shape[2], columns_AQW.shape[2]))
        torch.add(rows_AQH.unsqueeze(3), columns_AQW.unsqueeze(2), out=weights_AQHW)
        weights_AQP.baddbmm_(q_AkQ.transpose(1, 2), k_AkP)
    else:
        torch.bmm(q_AkQ.transpose(1, 2), k_AkP, out=weights_AQP)
    return torch.softmax(weights_AQP, 2, out=weights_AQP)


def blocks(q_AkP: Tensor, k_AkP: Tensor) -> Iterator[Block]:
    """Split heads and queries, so that the logits of a block are few."""
    heads_at_once, queries_at_once = at_once(q_AkP, k_AkP)
    heads, _, queries = q_AkP.shape
    for head in range(0, heads, heads_at_once):
        for query in range(0, queries, queries_at_once):
            yield slice(head, head + heads_at_once), slice(query, query + queries_at_once)


def at_once(q_AkP: Tensor, k_AkP: Tensor) -> tuple[int, int]:
    """Return how many heads, and queries of each, a block has at the most."""
    elements = BLOCK_ELEMENTS * torch.get_num_threads()
    heads, _, queries = q_AkP.shape
    keys = k_AkP.shape[2]
    queries_at_once = min(queries, max(1, elements // keys))
    return min(heads, max(1, elements // (keys * queries_at_once))), queries_at_once


def rooms(count: int, q_AkP: Tensor, k_AkP: Tensor) -> Tensor:
    """Return memory for so many tensors of a block: fresh memory would take longer than its use."""
    return q_AkP.new_empty(count, *at_once(q_AkP, k_AkP), k_AkP.shape[2])


def of_block(room_AQP: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the part of a room that a block takes: whole heads, or queries of one."""
    return room_AQP[: shape[0], : shape[1]]
