"""Two matrices with a GELU between them: the baseline."""

from collections.abc import Iterable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.init import Init
from algoprog.model.interface import Mlp


class GeluMlp(Mlp):
    """down(gelu(up(x))) with `expansion * d_model` hidden features.

    Args:
        dims: sizes of the model.
        expansion: hidden over model width.

    Source: Radford et al. 2018 (GPT); Hendrycks and Gimpel 2016 (arXiv 1606.08415).
    """

    def __init__(self, dims: Dims, *, expansion: float) -> None:
        super().__init__()
        d_ff = round(expansion * dims.d_model)
        if d_ff < 1:
            raise ValueError(f"mlp=gelu: mlp.expansion={expansion} leaves no hidden feature, make it larger")
        self.up = nn.Linear(dims.d_model, d_ff, bias=dims.bias)
        self.down = nn.Linear(d_ff, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        return self.dropout(self.down(F.gelu(self.up(x))))

    def flops_per_token(self, seq_len: int) -> float:
        """Both matrices."""
        return 2 * (self.up.weight.numel() + self.down.weight.numel())

    def decayed(self) -> Iterable[Tensor]:
        """Both matrices."""
        return self.up.weight, self.down.weight

    def init_weights(self, init: Init) -> None:
        """`down` writes the residual stream."""
        init.normal(self.up.weight, "up")
        init.residual(self.down.weight, "down")
        for linear in (self.up, self.down):
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
