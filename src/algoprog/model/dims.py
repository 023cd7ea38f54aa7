"""The sizes that every part of a model shares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dims:
    """Sizes of a model; `vocab_size` is the padded number of rows of the embedding.

    Raises:
        ValueError: a size is not positive or `n_heads` does not divide `d_model`.
    """

    d_model: int
    n_layers: int
    n_heads: int
    seq_len: int
    vocab_size: int
    dropout: float
    bias: bool

    def __post_init__(self) -> None:
        for name in ("d_model", "n_layers", "n_heads", "seq_len", "vocab_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name}={getattr(self, name)} must be at least 1")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"model.dropout={self.dropout} must be at least 0 and below 1")
        if self.d_model % self.n_heads:
            fits = [n for n in range(1, self.d_model + 1) if self.d_model % n == 0]
            nearest = min(fits, key=lambda n: abs(n - self.n_heads))
            raise ValueError(
                f"model.n_heads={self.n_heads} does not divide model.d_model={self.d_model}:"
                f" use for example model.n_heads={nearest}"
            )

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads
