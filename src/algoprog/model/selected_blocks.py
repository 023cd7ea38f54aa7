"""Blocks of positions that a query looks into, chosen by how much it attends to summaries of them.

A block has four strides. Summaries are of two strides each and begin at every stride, so that one of them lies across
the border of two blocks.

Source: Yuan et al. 2025 (NSA, arXiv 2502.11089), section 3.3, with the ratios of its experiments: summaries of 32
    positions every 16, blocks of 64.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

STRIDES = 4
"""Of a block; a summary has two."""

BEFORE, FIRST, OWN = 3.0, 4.0, 5.0
"""How much a query wants the block before its own, the first and its own: more than it can attend to any."""


def summaries(positions: int, block: int) -> int:
    """How many are complete."""
    return max(0, positions // (block // STRIDES) - 1)


def last_positions(n_summaries: int, block: int, device: torch.device) -> Int[Tensor, " summaries"]:
    """Where each ends, from which position on it is seen."""
    return (torch.arange(n_summaries, device=device) + 2) * (block // STRIDES) - 1


def summarised(
    x: Float[Tensor, "batch heads seq width"], block: int
) -> Float[Tensor, "batch heads summaries two width"]:
    """The positions of every summary of a sequence."""
    stride = block // STRIDES
    strides = x[:, :, : x.shape[2] // stride * stride].unflatten(2, (-1, stride))
    return torch.cat((strides[:, :, :-1], strides[:, :, 1:]), dim=3)


def importance(
    weights: Float[Tensor, "*batch queries summaries"], n_blocks: int
) -> Float[Tensor, "*batch queries blocks"]:
    """What a query attends to in each block: the weight of a summary once for each of its strides within."""
    strides = F.pad(weights, (0, STRIDES * n_blocks - weights.shape[-1]))
    return (strides + F.pad(strides, (1, -1))).unflatten(-1, (n_blocks, STRIDES)).sum(dim=-1)


def chosen(
    wanted: Float[Tensor, "*batch queries blocks"], queries: Int[Tensor, "*#batch queries"], block: int, n_blocks: int
) -> Bool[Tensor, "*batch queries blocks"]:
    """The blocks of each query: its own, the first, the one before its own, then those that it attends to the most.

    Of blocks that are wanted alike the earlier is taken, so that a choice does not depend on how many there are.
    """
    own, at = (queries // block).unsqueeze(-1), torch.arange(wanted.shape[-1], device=wanted.device)
    wanted = wanted.masked_fill(at == own - 1, BEFORE).masked_fill(at == 0, FIRST).masked_fill(at == own, OWN)
    order = wanted.masked_fill(at > own, -1.0).argsort(dim=-1, descending=True, stable=True)
    return torch.zeros_like(wanted, dtype=torch.bool).scatter(-1, order[..., :n_blocks], True) & (at <= own)
