"""The generalised delta rule: a memory that forgets entry by entry, moves what it recalls, and adds what is new.

Of every head and position, S' = diag(w) S + b (a^T S) + k v^T and the output S'^T q, where S is d_key x d_value, `w` in
(0, 1] is what each row keeps, and a, b say from where to where a recalled value is moved. A position with w = 1, b = 0
and k = 0 leaves the memory as it is. The delta rule is w = 1, a = -k, b = k times its strength.

Source: Peng et al. 2025 (RWKV-7, arXiv 2503.14456), section 4, state evolution; in chunks as Yang et al. 2024 (arXiv
    2406.06484), section 3.2, with the decay of rows taken into keys and queries.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.recurrence.state import chunks

CHUNK = 32
"""Positions that are computed at once: how, never what. Decays are divided by, so no chunk may forget by more than
e^-80 in float32: with e^-0.61 a position, the most that RWKV-7 forgets, 32 positions forget e^-20."""

Keys = Float[Tensor, "batch heads seq d_key"]
Values = Float[Tensor, "batch heads seq d_value"]
Memory = Float[Tensor, "batch heads d_key d_value"]


def recurrent(q: Keys, k: Keys, v: Values, a: Keys, b: Keys, log_kept: Keys, memory: Memory) -> tuple[Values, Memory]:
    """Outputs and the memory after them, position by position: the definition.

    Args:
        q: queries.
        k: keys under which values are added.
        v: values.
        a: keys whose values are recalled.
        b: keys to which what was recalled is moved.
        log_kept: logarithm of the share that each row of the memory keeps, at most 0.
        memory: of the positions before.
    """
    given = []
    for at in range(q.shape[2]):
        recalled = a[:, :, at, None] @ memory
        kept = memory * log_kept[:, :, at, :, None].exp()
        memory = kept + b[:, :, at, :, None] @ recalled + k[:, :, at, :, None] @ v[:, :, at, None]
        given.append(q[:, :, at, None] @ memory)
    return torch.cat(given, dim=2), memory


def chunked(q: Keys, k: Keys, v: Values, a: Keys, b: Keys, log_kept: Keys, memory: Memory) -> tuple[Values, Memory]:
    """Outputs and the memory after them as `recurrent` defines them, `CHUNK` positions at once.

    What is recalled in a chunk depends on what was moved before through a unit triangular system, which is solved for
    what is recalled without a memory before the chunk, and for what each entry of that memory adds. Arguments as in
    `recurrent`; `log_kept` may not sum to less than -80 in a chunk.
    """
    seq_len, size, d_value = q.shape[2], min(CHUNK, q.shape[2]), v.shape[-1]
    q, k, v, a, b, log_kept = (chunks(x, size) for x in (q, k, v, a, b, log_kept))
    since_start = log_kept.cumsum(dim=-2)
    kept, since_then = since_start.exp(), (-since_start).exp()
    readers = torch.cat((a * (since_start - log_kept).exp(), q * kept), dim=-2)
    writers = torch.cat((b * since_then, k * since_then), dim=-2)
    of_recalled, of_read = (readers @ writers.transpose(-1, -2)).split(size, dim=-2)
    moved, added = (part.tril(-1) for part in of_recalled.split(size, dim=-1))
    read_moved, read_added = (part.tril() for part in of_read.split(size, dim=-1))
    alone, of_memory = torch.linalg.solve_triangular(
        -moved, torch.cat((added @ v, readers[..., :size, :]), dim=-1), upper=False, unitriangular=True
    ).split((d_value, q.shape[-1]), dim=-1)
    after, to_end = readers[..., size:, :], (writers * kept[..., -1:, :]).transpose(-1, -2)
    steps = (alone, of_memory, after, read_moved, read_added @ v, to_end, v, kept[..., -1, :, None])
    given = []
    for own, by_memory, query, moved, said, writer, value, rest in zip(*(x.unbind(2) for x in steps), strict=True):
        recalled = own + by_memory @ memory
        given.append(query @ memory + moved @ recalled + said)
        memory = memory * rest + writer @ torch.cat((recalled, value), dim=-2)
    return torch.cat(given, dim=2)[:, :, :seq_len], memory
