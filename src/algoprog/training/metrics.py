"""Loss, perplexity and bits per byte as one torchmetrics metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import Module
from torchmetrics import Metric


class LanguageModelLoss(Metric):
    """Mean next-token loss over tokens, and what follows from it.

    Args:
        bytes_per_token: UTF-8 bytes of text per token, of tokens whose own bytes are not given.
    """

    full_state_update = False
    nats: Tensor
    tokens: Tensor
    bytes: Tensor

    def __init__(self, bytes_per_token: float) -> None:
        super().__init__()
        self.bytes_per_token = bytes_per_token
        self.add_state("nats", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("tokens", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("bytes", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = ()) -> Module:
        """What is added up stays in its precision where the module is cast to another."""
        return super()._apply(lambda state: state.to(fn(state.new_empty(0)).device), exclude_state)

    def update(self, mean_nats: Tensor, n_tokens: int, n_bytes: int | None = None) -> None:
        """Add the mean loss, in nats, of `n_tokens` tokens that stand for `n_bytes` bytes of text."""
        self.nats += mean_nats.detach().double() * n_tokens
        self.tokens += n_tokens
        self.bytes += n_tokens * self.bytes_per_token if n_bytes is None else n_bytes

    def compute(self) -> dict[str, float]:
        """`loss` in nats per token, `perplexity`, `bits_per_byte`; NaN before the first update.

        Bits per byte are those of all targets over their bytes, which makes losses comparable across tokenizers; NaN
        where the targets are ends of texts alone.
        """
        tokens, length = int(self.tokens), float(self.bytes)
        loss = float(self.nats) / tokens if tokens else math.nan
        perplexity = math.exp(loss) if loss < 700 else math.inf
        return {
            "loss": loss,
            "perplexity": math.nan if math.isnan(loss) else perplexity,
            "bits_per_byte": float(self.nats) / math.log(2) / length if length else math.nan,
        }
