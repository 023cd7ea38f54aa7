"""Loss, perplexity and bits per byte as one torchmetrics metric."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric


class LanguageModelLoss(Metric):
    """Mean next-token loss over tokens, and what follows from it.

    Args:
        bytes_per_token: UTF-8 bytes of text per token, which makes losses comparable across tokenizers.
    """

    full_state_update = False
    nats: Tensor
    tokens: Tensor

    def __init__(self, bytes_per_token: float) -> None:
        super().__init__()
        self.bytes_per_token = bytes_per_token
        self.add_state("nats", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("tokens", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, mean_nats: Tensor, n_tokens: int) -> None:
        """Add the mean loss, in nats, of `n_tokens` tokens."""
        self.nats += mean_nats.detach().double() * n_tokens
        self.tokens += n_tokens

    def compute(self) -> dict[str, float]:
        """`loss` in nats per token, `perplexity`, `bits_per_byte`; NaN before the first update."""
        tokens = int(self.tokens)
        loss = float(self.nats) / tokens if tokens else math.nan
        perplexity = math.exp(loss) if loss < 700 else math.inf
        return {
            "loss": loss,
            "perplexity": math.nan if math.isnan(loss) else perplexity,
            "bits_per_byte": loss / math.log(2) / self.bytes_per_token,
        }
