"""A selective state space of one decay a head: a memory that forgets a share of all, then adds what is new.

Of every head and position, S' = a S + k v^T and the output S'^T q, where S is d_state x d_value, and `a` in (0, 1] is
what is kept. A position with a = 1 and v = 0 leaves the memory as it is. All heads may share queries and keys.

Source: Dao and Gu 2024 (arXiv 2405.21060), section 3 with B as keys, C as queries and inputs times their step as
    values; in chunks: section 6.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.recurrence.state import chunks

CHUNK = 64
"""Positions that are computed at once: how, never what."""

Keys = Float[Tensor, "batch #heads seq d_state"]
Values = Float[Tensor, "batch heads seq d_value"]
Scalars = Float[Tensor, "batch heads seq"]
Memory = Float[Tensor, "batch heads d_state d_value"]


def recurrent(q: Keys, k: Keys, v: Values, log_kept: Scalars, memory: Memory) -> tuple[Values, Memory]:
    """Outputs and the memory after them, position by position: the definition.

    Args:
        q: queries.
        k: keys.
        v: values.
        log_kept: logarithm of the share of the memory that is kept, at most 0.
        memory: of the positions before.
    """
    given = []
    for at in range(v.shape[2]):
        key, value, query = (x[:, :, at, None] for x in (k, v, q))
        memory = memory * log_kept[:, :, at, None, None].exp() + key.transpose(-1, -2) @ value
        given.append(query @ memory)
    return torch.cat(given, dim=2), memory


def chunked(q: Keys, k: Keys, v: Values, log_kept: Scalars, memory: Memory) -> tuple[Values, Memory]:
    """Outputs and the memory after them as `recurrent` defines them, `CHUNK` positions at once.

    Within a chunk they are those of attention without a softmax, whose weights decay with the distance; memories are
    handed from chunk to chunk. Arguments as in `recurrent`.
    """
    seq_len, size = v.shape[2], min(CHUNK, v.shape[2])
    q, k, v = (chunks(x, size) for x in (q, k, v))
    since_start = chunks(log_kept.unsqueeze(-1), size).cumsum(dim=-2)
    between = since_start - since_start.transpose(-1, -2)  # row: the later position
    future = torch.ones(size, size, dtype=torch.bool, device=v.device).triu(1)
    between = between.masked_fill(future, -math.inf).exp()  # before exp, which would overflow
    to_end = (since_start[..., -1:, :] - since_start).exp()
    added = k.transpose(-1, -2) @ (v * to_end)
    kept = since_start[..., -1:, :].exp()
    starts = []
    for new, rest in zip(added.unbind(2), kept.unbind(2), strict=True):
        starts.append(memory)
        memory = memory * rest + new
    given = ((q @ k.transpose(-1, -2)) * between) @ v + since_start.exp() * (q @ torch.stack(starts, dim=2))
    return given.flatten(2, 3)[:, :, :seq_len], memory
