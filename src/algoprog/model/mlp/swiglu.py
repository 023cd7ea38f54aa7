"""A gated MLP with the SiLU."""

from collections.abc import Iterable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.init import Init
from algoprog.model.interface import Mlp


class SwigluMlp(Mlp):
    """down(silu(gate(x)) * up(x)) with `expansion * d_model` hidden features.

    Args:
        dims: sizes of the model.
        expansion: hidden over model width; 8/3 gives the parameters and FLOPs of a GELU MLP with expansion 4.

    Source: Shazeer 2020 (arXiv 2002.05202), equation 6.
    """

    def __init__(self, dims: Dims, *, expansion: float) -> None:
        super().__init__()
        d_ff = round(expansion * dims.d_model)
        if d_ff < 1:
            raise ValueError(f"mlp=swiglu: mlp.expansion={expansion} leaves no hidden feature, make it larger")
        self.gate = nn.Linear(dims.d_model, d_ff, bias=dims.bias)
        self.up = nn.Linear(dims.d_model, d_ff, bias=dims.bias)
        self.down = nn.Linear(d_ff, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        return self.dropout(self.down(F.silu(self.gate(x)) * self.up(x)))

    def flops_per_token(self, seq_len: int) -> float:
        """All three matrices."""
        return 2 * sum(weight.numel() for weight in self.decayed())

    def decayed(self) -> Iterable[Tensor]:
        """All three matrices."""
        return self.gate.weight, self.up.weight, self.down.weight

    def init_weights(self, init: Init) -> None:
        """`down` writes the residual stream."""
        init.normal(self.gate.weight, "gate")
        init.normal(self.up.weight, "up")
        init.residual(self.down.weight, "down")
        for linear in (self.gate, self.up, self.down):
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
