"""An LSTM in the place of attention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.part import NoFacts, NoStatistics
from algoprog.model.interface.roles import Declared, linear
from algoprog.model.interface.site import Parts, Site, Work
from algoprog.model.recurrence.lstm_cell import LstmCell, LstmState


class LstmMixer(NoFacts, NoStatistics, Mixer):
    """out(lstm(x)): a layer of `backbone=lstm` without its norms, in the residual block of a transformer.

    Args:
        site: where it stands.
        parts: of its layer; it needs none.
        width: of hidden state and cell over model width; 0.5 has 7/8 of the weights of dense attention.
        forget_bias: constant in the forget gate, so that at first cells remember.

    Raises:
        ValueError: no feature is left.

    Source: Hochreiter and Schmidhuber 1997; Jozefowicz et al. 2015 (forget bias).
    """

    without: ClassVar[Mapping[str, str]] = {
        "attention": "which looks at no keys of earlier positions",
        "pos": "whose recurrence knows the order",
        **dict.fromkeys(("kernel", "sinks", "softcap"), "which has no softmax"),
        **dict.fromkeys(("qk_norm", "output_gate"), "which has no heads"),
    }

    def __init__(self, site: Site, parts: Parts, *, width: float, forget_bias: float) -> None:
        super().__init__(site)
        dims = site.dims
        units = round(width * dims.d_model)
        if units < 1:
            raise ValueError(f"mixer=lstm: mixer.width={width} leaves no unit of model.d_model={dims.d_model}")
        if units > dims.d_model:
            raise ValueError(f"mixer=lstm: mixer.width={width} must be at most 1")
        self.cell = LstmCell(site, units, forget_bias)
        self.out = nn.Linear(units, dims.d_model, bias=dims.bias)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        return self.out(self.cell(x, context))

    def new_state(self, batch: int, capacity: int) -> LstmState:
        """That of its cell."""
        return self.cell.new_state(batch, capacity)

    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: LstmState
    ) -> Float[Tensor, "batch new d_model"]:
        """The update for positions behind those of the state."""
        return self.out(self.cell.step(x, context, state))

    def state_bytes(self, context: int) -> int:
        """None of its own: the cell counts what it holds."""
        return 0

    def flops(self, work: Work) -> float:
        """The matrix behind the cell."""
        return 2 * self.out.weight.numel() * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """The matrix behind the cell and its bias."""
        yield from linear(self.out)

    def init_weights(self, init: Init) -> None:
        """`out` writes the residual stream."""
        init.residual(self.out.weight, "out")
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)
