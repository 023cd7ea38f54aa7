"""MLPs of dense matrices, with and without a gate; options say what the nonlinearity is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mlp
from algoprog.model.interface.part import NoFacts, NoStatistics
from algoprog.model.interface.roles import Declared, linear
from algoprog.model.interface.site import Site, Work


class DenseMlp(NoFacts, NoStatistics, Mlp):
    """down(hidden(x)) with `expansion * d_model` hidden features; `inputs` names the matrices that read x.

    Args:
        site: where it stands.
        option: name of the option, for messages.
        expansion: hidden over model width.

    Raises:
        ValueError: `expansion` leaves no hidden feature.
    """

    inputs: ClassVar[tuple[str, ...]]

    def __init__(self, site: Site, option: str, expansion: float) -> None:
        super().__init__(site)
        dims = site.dims
        d_ff = round(expansion * dims.d_model)
        if d_ff < 1:
            raise ValueError(f"mlp={option}: mlp.expansion={expansion} leaves no hidden feature, make it larger")
        for name in self.inputs:
            setattr(self, name, nn.Linear(dims.d_model, d_ff, bias=dims.bias))
        self.down = nn.Linear(d_ff, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    @abstractmethod
    def hidden(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_ff"]:
        """The hidden features."""

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        return self.dropout(self.down(self.hidden(x)))

    def flops(self, work: Work) -> float:
        """All matrices."""
        return 2 * sum(layer.weight.numel() for _, layer in self._layers()) * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """All matrices with their biases."""
        for _, layer in self._layers():
            yield from linear(layer)

    def init_weights(self, init: Init) -> None:
        """`down` writes the residual stream."""
        for name, layer in self._layers():
            (init.residual if layer is self.down else init.normal)(layer.weight, name)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _layers(self) -> Iterable[tuple[str, nn.Linear]]:
        return [(name, self.get_submodule(name)) for name in (*self.inputs, "down")]  # type: ignore[misc]  # all are Linear


class PlainMlp(DenseMlp):
    """down(f(up(x)))."""

    inputs = ("up",)
    up: nn.Linear


class GatedMlp(DenseMlp):
    """down(f(gate(x)) * up(x)); an expansion of 8/3 gives the parameters and FLOPs of a plain one with 4.

    Source: Shazeer 2020 (arXiv 2002.05202), section 2.
    """

    inputs = ("gate", "up")
    gate: nn.Linear
    up: nn.Linear
