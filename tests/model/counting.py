"""A kernel whose matrix products are exactly the attended work, so that a FLOP counter can be believed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from algoprog.model.interface.mixer import causal_mask
from algoprog.model.interface.part import Kernel


class CountingKernel(Kernel):
    """Gathers, for each query, the keys that it may see, and multiplies with these alone."""

    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        *,
        scale: float | None = None,
        bias: Tensor | None = None,
        sinks: Tensor | None = None,
        cap: float | None = None,
    ) -> Tensor:
        """Attend query by query."""
        changes = (torch.full((q.shape[1],), -math.inf) if sinks is None else sinks, cap)
        batch, heads, n_queries, _ = q.shape
        if mask is None:
            mask = causal_mask(n_queries, k.shape[2])
        mask = mask.expand(batch, 1, n_queries, k.shape[2])[:, 0]
        bias = (torch.zeros(()) if bias is None else bias).expand(batch, heads, n_queries, k.shape[2])
        k, v = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (k, v))
        q = q * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
        rows = [
            torch.stack([self._query(b, i, q, k, v, mask, bias, *changes) for i in range(n_queries)])
            for b in range(batch)
        ]
        return torch.stack(rows).transpose(1, 2)

    def _query(
        self,
        b: int,
        i: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor,
        bias: Tensor,
        sinks: Tensor,
        cap: float | None,
    ) -> Tensor:
        """One query of every head over the keys that it sees: (heads, d_value)."""
        seen = mask[b, i]
        scores = q[b, :, i, None] @ k[b][:, seen].transpose(1, 2)
        scores = (scores if cap is None else cap * torch.tanh(scores / cap)) + bias[b, :, i, None][..., seen]
        weights = torch.softmax(torch.cat((scores, sinks[:, None, None].to(scores.dtype)), dim=-1), dim=-1)[..., :-1]
        return (weights @ v[b][:, seen])[:, 0]


def _of_qr(shape: list[int], *_: Any, **__: Any) -> float:
    """Of square matrices, Householder's reduction and the basis from it: 8/3 n^3."""
    *stack, _, n = shape
    return math.prod(stack) * 8 * n**3 / 3


def counted(run: Callable[[], object]) -> float:
    """FLOPs of the matrix products and QR decompositions that happen in `run()`."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.linalg_qr: _of_qr}) as counter:
        run()
    return counter.get_total_flops()
