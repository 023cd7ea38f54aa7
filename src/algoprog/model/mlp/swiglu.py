"""A gated MLP with the SiLU."""

from collections.abc import Iterable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mlp
from algoprog.model.interface.part import NoFacts, NoStatistics
from algoprog.model.interface.roles import Declared, linear
from algoprog.model.interface.site import Site, Work


class SwigluMlp(NoFacts, NoStatistics, Mlp):
    """down(silu(gate(x)) * up(x)) with `expansion * d_model` hidden features.

    Args:
        site: where it stands.
        expansion: hidden over model width; 8/3 gives the parameters and FLOPs of a GELU MLP with expansion 4.

    Source: Shazeer 2020 (arXiv 2002.05202), equation 6.
    """

    def __init__(self, site: Site, *, expansion: float) -> None:
        super().__init__(site)
        dims = site.dims
        d_ff = round(expansion * dims.d_model)
        if d_ff < 1:
            raise ValueError(f"mlp=swiglu: mlp.expansion={expansion} leaves no hidden feature, make it larger")
        self.gate = nn.Linear(dims.d_model, d_ff, bias=dims.bias)
        self.up = nn.Linear(dims.d_model, d_ff, bias=dims.bias)
        self.down = nn.Linear(d_ff, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        return self.dropout(self.down(F.silu(self.gate(x)) * self.up(x)))

    def flops(self, work: Work) -> float:
        """All three matrices."""
        return 2 * sum(layer.weight.numel() for layer in (self.gate, self.up, self.down)) * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """All three matrices with their biases."""
        for layer in (self.gate, self.up, self.down):
            yield from linear(layer)

    def init_weights(self, init: Init) -> None:
        """`down` writes the residual stream."""
        init.normal(self.gate.weight, "gate")
        init.normal(self.up.weight, "up")
        init.residual(self.down.weight, "down")
        for layer in (self.gate, self.up, self.down):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
