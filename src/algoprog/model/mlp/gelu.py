"""Two matrices with a GELU between them: the baseline."""

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


class GeluMlp(NoFacts, NoStatistics, Mlp):
    """down(gelu(up(x))) with `expansion * d_model` hidden features.

    Args:
        site: where it stands.
        expansion: hidden over model width.

    Source: Radford et al. 2018 (GPT); Hendrycks and Gimpel 2016 (arXiv 1606.08415).
    """

    def __init__(self, site: Site, *, expansion: float) -> None:
        super().__init__(site)
        dims = site.dims
        d_ff = round(expansion * dims.d_model)
        if d_ff < 1:
            raise ValueError(f"mlp=gelu: mlp.expansion={expansion} leaves no hidden feature, make it larger")
        self.up = nn.Linear(dims.d_model, d_ff, bias=dims.bias)
        self.down = nn.Linear(d_ff, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        return self.dropout(self.down(F.gelu(self.up(x))))

    def flops(self, work: Work) -> float:
        """Both matrices."""
        return 2 * sum(layer.weight.numel() for layer in (self.up, self.down)) * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """Both matrices with their biases."""
        for layer in (self.up, self.down):
            yield from linear(layer)

    def init_weights(self, init: Init) -> None:
        """`down` writes the residual stream."""
        init.normal(self.up.weight, "up")
        init.residual(self.down.weight, "down")
        for layer in (self.up, self.down):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
