"""The GPT: wiring of the parts and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.init import Init, empty_embedding
from algoprog.model.interface import Attention, Kernel, Mlp, Norm, Part, Position

TRAIN_OVER_FORWARD = 3
"""A backward pass costs two forward passes; nothing is recomputed."""


class Block(nn.Module):
    """One layer: attention and MLP, each behind a norm and added to the residual stream."""

    def __init__(
        self,
        dims: Dims,
        *,
        attention: Callable[[Dims], Attention],
        norm: Callable[[Dims], Norm],
        mlp: Callable[[Dims], Mlp],
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = norm(dims), attention(dims)
        self.mlp_norm, self.mlp = norm(dims), mlp(dims)

    def forward(
        self, x: Float[Tensor, "batch seq d_model"], position: Position, kernel: Kernel
    ) -> Float[Tensor, "batch seq d_model"]:
        """The residual stream after this layer."""
        x = x + self.attention(self.attention_norm(x), position, kernel)
        return x + self.mlp(self.mlp_norm(x))


class Embedding(Part):
    """Token embedding and, tied to it, the output head."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.table = empty_embedding(dims.vocab_size, dims.d_model)

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """The vector of each token."""
        return self.table(tokens)

    def logits(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq vocab"]:
        """The score of each token as the next one."""
        return nn.functional.linear(x, self.table.weight)

    def flops_per_token(self, seq_len: int) -> float:
        """The head; the look-up is free."""
        return 2 * self.table.weight.numel()

    def decayed(self) -> tuple[Tensor]:
        """The table."""
        return (self.table.weight,)

    def init_weights(self, init: Init) -> None:
        """The table, from one stream."""
        init.normal(self.table.weight, "table")


class GPT(nn.Module):
    """A decoder-only transformer made of interchangeable parts.

    Args:
        dims: sizes of the model.
        attention: builds the attention of a layer.
        norm: builds the norm in front of each sublayer.
        final_norm: builds the norm in front of the head.
        pos: builds the positions, shared by all layers.
        mlp: builds the MLP of a layer.
        kernel: builds the attention kernel, shared by all layers.

    Raises:
        ValueError: two options cannot work together.
    """

    def __init__(
        self,
        dims: Dims,
        *,
        attention: Callable[[Dims], Attention],
        norm: Callable[[Dims], Norm],
        final_norm: Callable[[Dims], Norm],
        pos: Callable[[Dims], Position],
        mlp: Callable[[Dims], Mlp],
        kernel: Callable[[Dims], Kernel],
    ) -> None:
        super().__init__()
        self.dims = dims
        self.embedding = Embedding(dims)
        self.pos = pos(dims)
        self.kernel = kernel(dims)
        self.dropout = nn.Dropout(dims.dropout)
        self.blocks = nn.ModuleList(Block(dims, attention=attention, norm=norm, mlp=mlp) for _ in range(dims.n_layers))
        self.final_norm = final_norm(dims)

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        """Logits of the next token at every position."""
        x = self.dropout(self.pos.embed(self.embedding(tokens)))
        for block in self.blocks:
            x = block(x, self.pos, self.kernel)
        return self.embedding.logits(self.final_norm(x))

    def parts(self) -> dict[str, Part]:
        """Every part by its path."""
        return {name: module for name, module in self.named_modules() if isinstance(module, Part)}

    def init_weights(self, seed: int) -> None:
        """Fill every part from streams keyed by (seed, path)."""
        init = Init(seed, self.dims.n_layers)
        for name, part in self.parts().items():
            part.init_weights(init.child(name))

    def parameter_groups(self) -> list[dict[str, object]]:
        """Two groups for an optimizer: what the parts declare as decayed, then the rest."""
        decayed = [parameter for part in self.parts().values() for parameter in part.decayed()]
        chosen = {id(parameter) for parameter in decayed}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in chosen]
        return [{"params": decayed}, {"params": rest}]

    def flops_per_token(self) -> float:
        """Model FLOPs of training on one token: forward and backward, at the full context."""
        forward = sum(part.flops_per_token(self.dims.seq_len) for part in self.parts().values())
        return TRAIN_OVER_FORWARD * forward

    def attention_density(self) -> float:
        """Attended over causal keys, mean of the layers."""
        densities = [part.density(self.dims.seq_len) for part in self.parts().values() if isinstance(part, Attention)]
        return sum(densities) / len(densities)

    @property
    def sparse(self) -> bool:
        """Whether the attention of any layer is configured to leave keys out."""
        return any(part.sparse for part in self.parts().values() if isinstance(part, Attention))
