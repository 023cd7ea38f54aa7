"""Factorised sparse attention with O(n sqrt n) attended keys."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from algoprog.model.heads import HeadsAttention, bias_of_all
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import causal_mask
from algoprog.model.interface.site import Parts, Site

ROWS_COUNTED = 512
"""Queries whose keys are counted at a time, which bounds the memory for long contexts."""


class SparseAttention(HeadsAttention):
    """The "fixed" and "strided" patterns of the Sparse Transformer, both factors merged in every head.

    With windows of `window` positions, a query attends
    - fixed: its own window up to itself, and the last `n_summary` positions of every window before;
    - strided: the `window` positions up to itself, and every `window`-th position before it.

    The window belongs to the model: sequences shorter than its context are seen by the same pattern, so that the
    logits of a beginning do not depend on what follows.

    Args:
        site: where it stands.
        parts: of its layer.
        pattern: `fixed` (for text; computed window by window, without the masked-out work) or `strided` (computed
            with a mask: its column keys differ for every query of a window).
        window: length of the local window, or `sqrt` for the power of two next above the root of the model's context.
        n_summary: positions of each earlier window that stay visible under `fixed`; unused by `strided`.

    Raises:
        ValueError: a knob is out of range.

    Source: Child et al. 2019 (arXiv 1904.10509), sections 4.2 and 4.3.
    """

    sparse = True

    def __init__(self, site: Site, parts: Parts, *, pattern: str, window: int | str, n_summary: int) -> None:
        super().__init__(site, parts, site.dims.n_heads)
        if pattern not in ("fixed", "strided"):
            raise ValueError(f"attention=sparse: attention.pattern={pattern} must be fixed or strided")
        if window != "sqrt" and not (isinstance(window, int) and window >= 1):
            raise ValueError(f"attention=sparse: attention.window={window} must be sqrt or at least 1")
        seq_len = site.dims.seq_len
        length = 2 ** math.ceil(math.log2(seq_len) / 2) if window == "sqrt" else int(window)
        self.pattern, self.window, self.n_summary = pattern, length, n_summary
        if not 0 <= n_summary <= min(length, seq_len):
            raise ValueError(
                f"attention=sparse: attention.n_summary={n_summary} must lie between 0 and the window of"
                f" {min(length, seq_len)} positions"
            )

    def visible(
        self, queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"]
    ) -> Bool[Tensor, "*batch queries keys"]:
        """The pattern, position by position."""
        return _visible(queries, keys, self.pattern, self.window, self.n_summary)

    def attended_keys(self, context: int, new: int) -> int:
        """Counted on the pattern."""
        return _count(context, new, self.pattern, self.window, self.n_summary)

    def attend(
        self,
        q: Float[Tensor, "batch heads seq d_head"],
        k: Float[Tensor, "batch heads seq d_head"],
        v: Float[Tensor, "batch heads seq d_head"],
        context: Context,
    ) -> Float[Tensor, "batch heads seq d_head"]:
        """Mix the values along the pattern."""
        seq_len = q.shape[2]
        if seq_len > self.window and self.pattern == "fixed":
            return self._attend_windows(q, k, v, context)
        mask = self.mask(seq_len, q.device) if seq_len > self.window else None
        return self.mixed(q, k, v, mask, bias_of_all(q, context), context)

    def _attend_windows(self, q: Tensor, k: Tensor, v: Tensor, context: Context) -> Tensor:
        """Attend window by window: `window + n_windows * n_summary` keys a query instead of the sequence.

        The windows join the batch dimension. Each gets its own keys plus the summary positions of all windows;
        padding fills the last window and stays unseen.
        """
        batch, _, seq_len, _ = q.shape
        q, k, v = (_windows(x, self.window) for x in (q, k, v))
        mask = self._window_mask(q.shape[1], q.device).repeat(batch, 1, 1, 1)
        bias = context.position.bias(*self._window_places(q.shape[1], q.device))
        mixed = self.mixed(
            _heads_first(q),
            _heads_first(self._with_summaries(k)),
            _heads_first(self._with_summaries(v)),
            mask,
            None if bias is None else bias.repeat(batch, 1, 1, 1),
            context,
        )
        return mixed.transpose(1, 2).unflatten(0, (batch, -1)).flatten(1, 2)[:, :seq_len].transpose(1, 2)

    def _with_summaries(
        self, x: Float[Tensor, "batch windows window heads d_head"]
    ) -> Float[Tensor, "batch windows keys heads d_head"]:
        """Behind each window's own keys the summary positions of all windows."""
        summaries = x[:, :, self.window - self.n_summary :].flatten(1, 2)
        return torch.cat((x, summaries.unsqueeze(1).expand(-1, x.shape[1], -1, -1, -1)), dim=2)

    def _window_mask(self, n_windows: int, device: torch.device) -> Bool[Tensor, "windows one window keys"]:
        """Causal inside the window; of the summaries only those of earlier windows."""
        at = torch.arange(n_windows, device=device)
        earlier = (at[:, None] > at[None, :]).repeat_interleave(self.n_summary, dim=1)
        own = causal_mask(self.window, self.window, device).expand(n_windows, -1, -1)
        return torch.cat((own, earlier[:, None].expand(-1, self.window, -1)), dim=2).unsqueeze(1)

    def _window_places(
        self, n_windows: int, device: torch.device
    ) -> tuple[Int[Tensor, "windows window"], Int[Tensor, "windows keys"]]:
        """Where the queries of each window stand, and its own keys with the summary positions of all windows."""
        at = torch.arange(n_windows * self.window, device=device).unflatten(0, (n_windows, self.window))
        summaries = at[:, self.window - self.n_summary :].flatten().expand(n_windows, -1)
        return at, torch.cat((at, summaries), dim=1)


def _visible(
    queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"], pattern: str, window: int, n_summary: int
) -> Bool[Tensor, "*batch queries keys"]:
    """Whether the query at one position may look at the key at another."""
    query, key = queries.unsqueeze(-1), keys.unsqueeze(-2)
    if pattern == "strided":
        visible = (query - key < window) | ((query - key) % window == 0)
    else:
        visible = (query // window == key // window) | (key % window >= window - n_summary)
    return visible & (key <= query)


@cache
def _count(context: int, new: int, pattern: str, window: int, n_summary: int) -> int:
    """Pairs that see each other, counted on the mask a few rows at a time; equal in all layers and models."""
    at = torch.arange(context, device="cpu")
    rows = at[context - new :].split(ROWS_COUNTED)
    return sum(int(_visible(some, at, pattern, window, n_summary).sum()) for some in rows)


def _windows(
    x: Float[Tensor, "batch heads seq d_head"], window: int
) -> Float[Tensor, "batch windows window heads d_head"]:
    """Cut the sequence into windows, the last one padded with zeros."""
    padding = -x.shape[2] % window
    return F.pad(x.transpose(1, 2), (0, 0, 0, 0, 0, padding)).unflatten(1, (-1, window))


def _heads_first(
    x: Float[Tensor, "batch windows keys heads d_head"],
) -> Float[Tensor, "batch*windows heads keys d_head"]:
    """The shape that kernels take."""
    return x.flatten(0, 1).transpose(1, 2)
