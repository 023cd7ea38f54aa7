"""The gated delta rule: a memory that forgets a share of all, then corrects what it recalls for a key.

Of every head and position, S' = a S + b k (v - a S^T k)^T and the output S'^T q, where S is d_key x d_value, `a` in
(0, 1] is what is kept, and `b` in [0, 1] how far the recalled value is moved to the new one. A position with a = 1 and
b = 0 leaves the memory as it is.

Source: Yang et al. 2024 (arXiv 2412.06464), equation 10; in chunks: section 3.3 and Yang et al. 2024 (arXiv
    2406.06484), section 3.2.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.recurrence.state import chunks

CHUNK = 64
"""Positions that are computed at once: how, never what."""

Keys = Float[Tensor, "batch heads seq d_key"]
Values = Float[Tensor, "batch heads seq d_value"]
Scalars = Float[Tensor, "batch heads seq"]
Memory = Float[Tensor, "batch heads d_key d_value"]


def recurrent(
    q: Keys, k: Keys, v: Values, log_kept: Scalars, strength: Scalars, memory: Memory
) -> tuple[Values, Memory]:
    """Outputs and the memory after them, position by position: the definition.

    Args:
        q: queries, scaled.
        k: keys of length 1.
        v: values.
        log_kept: logarithm of the share of the memory that is kept, at most 0.
        strength: how far what is recalled is corrected.
        memory: of the positions before.
    """
    given = []
    for at in range(q.shape[2]):
        key, value, query = (x[:, :, at, None] for x in (k, v, q))
        memory = memory * log_kept[:, :, at, None, None].exp()
        correction = (value - key @ memory) * strength[:, :, at, None, None]
        memory = memory + key.transpose(-1, -2) @ correction
        given.append(query @ memory)
    return torch.cat(given, dim=2), memory


def chunked(q: Keys, k: Keys, v: Values, log_kept: Scalars, strength: Scalars, memory: Memory) -> tuple[Values, Memory]:
    """Outputs and the memory after them as `recurrent` defines them, `CHUNK` positions at once.

    The corrections of a chunk depend on each other through a unit triangular system, which is solved for what they
    are without a memory before the chunk, and for what each entry of that memory takes away. Arguments as in
    `recurrent`.
    """
    seq_len, size = q.shape[2], min(CHUNK, q.shape[2])
    q, k, v = (chunks(x, size) for x in (q, k, v))
    log_kept, strength = (chunks(x.unsqueeze(-1), size) for x in (log_kept, strength))
    since_start = log_kept.cumsum(dim=-2)
    between = since_start - since_start.transpose(-1, -2)  # row: the later position
    future = torch.ones(size, size, dtype=torch.bool, device=q.device).triu(1)
    between = between.masked_fill(future, -math.inf).exp()  # before exp, which would overflow
    weak = k * strength
    alone, of_memory = torch.linalg.solve_triangular(
        (weak @ k.transpose(-1, -2)) * between,
        torch.cat((v * strength, weak * since_start.exp()), dim=-1),
        upper=False,
        unitriangular=True,
    ).split((v.shape[-1], k.shape[-1]), dim=-1)
    within = (q @ k.transpose(-1, -2)) * between
    q = q * since_start.exp()
    k = (k * (since_start[..., -1:, :] - since_start).exp()).transpose(-1, -2)
    kept = since_start[..., -1:, :].exp()
    given = []
    for at in range(q.shape[2]):
        corrections = alone[:, :, at] - of_memory[:, :, at] @ memory
        given.append(q[:, :, at] @ memory + within[:, :, at] @ corrections)
        memory = memory * kept[:, :, at] + k[:, :, at] @ corrections
    return torch.cat(given, dim=2)[:, :, :seq_len], memory
