"""Attention for CPUs, block by block: products of all pairs of pixels exist in the cache only."""

# Shape suffixes: A samples times heads, P pixels, Q pixels of a block, D dims of queries and keys,
# v dims of values.

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_ELEMENTS = 2**18
"""Logits of a block, for each thread: what a core's cache holds beside what is done with them."""

Block = tuple[slice, slice]


def attend(q_NaPD: Tensor, k_NaPD: Tensor, v_NaPv: Tensor) -> Tensor:
    """Return softmax(q k^T) v: (N, a, P, v); its gradients can be differentiated no further."""
    samples_and_heads = q_NaPD.shape[:2]
    y_APv = BlockAttention.apply(*(part.flatten(0, 1) for part in (q_NaPD, k_NaPD, v_NaPv)))
    return y_APv.unflatten(0, samples_and_heads)


class BlockAttention(torch.autograd.Function):
    """softmax(q k^T) v that keeps its operands, and does each block's softmax twice."""

    @staticmethod
    def forward(q_APD: Tensor, k_APD: Tensor, v_APv: Tensor) -> Tensor:
        y_APv = q_APD.new_empty(*q_APD.shape[:2], v_APv.shape[2])
        for heads, queries in blocks(q_APD, k_APD):
            weights_AQP = softmax(q_APD[heads, queries], k_APD[heads])
            y_APv[heads, queries] = weights_AQP @ v_APv[heads]
        return y_APv

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad_APv: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        q_APD, k_APD, v_APv = ctx.saved_tensors
        grad_q_APD, grad_k_APD, grad_v_APv = map(torch.zeros_like, ctx.saved_tensors)
        for heads, queries in blocks(q_APD, k_APD):
            q_AQD, grad_AQv = q_APD[heads, queries], grad_APv[heads, queries]
            weights_AQP = softmax(q_AQD, k_APD[heads])
            grad_v_APv[heads].baddbmm_(weights_AQP.transpose(1, 2), grad_AQv)
            grad_AQP = grad_AQv @ v_APv[heads].transpose(1, 2)
            grad_AQP = torch.ops.aten._softmax_backward_data(
                grad_AQP, weights_AQP, 2, grad_AQP.dtype
            )
            torch.bmm(grad_AQP, k_APD[heads], out=grad_q_APD[heads, queries])
            grad_k_APD[heads].baddbmm_(grad_AQP.transpose(1, 2), q_AQD)
        return grad_q_APD, grad_k_APD, grad_v_APv


def softmax(q_AQD: Tensor, k_APD: Tensor) -> Tensor:
    """Return how much each query takes of each pixel."""
    return (q_AQD @ k_APD.transpose(1, 2)).softmax(2)


def blocks(q_APD: Tensor, k_APD: Tensor) -> Iterator[Block]:
    """Split heads and queries, so that the logits of a block are few."""
    elements = BLOCK_ELEMENTS * torch.get_num_threads()
    heads, queries = q_APD.shape[:2]
    keys = k_APD.shape[1]
    queries_at_once = min(queries, max(1, elements // keys))
    heads_at_once = max(1, elements // (keys * queries_at_once))
    for head in range(0, heads, heads_at_once):
        for query in range(0, queries, queries_at_once):
            yield slice(head, head + heads_at_once), slice(query, query + queries_at_once)
