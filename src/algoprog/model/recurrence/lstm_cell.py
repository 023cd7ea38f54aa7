"""An LSTM layer: what a backbone stacks, and what mixes positions in a residual block."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.part import NoFacts, NoStatistics
from algoprog.model.interface.places import Following
from algoprog.model.interface.roles import Declared, matrix, vector
from algoprog.model.interface.site import Site, Work

GATES = 4
"""Input, forget, cell, output, in the order of torch.nn.LSTM."""

FORGET = 1
"""The number of the forget gate among them."""

Hidden = Float[Tensor, "batch width"]


class LstmState:
    """What an LSTM layer keeps of everything behind it: as much for any length.

    Args:
        batch: sequences.
        width: of hidden state and cell.
        like: decides device and precision.
    """

    def __init__(self, batch: int, width: int, like: Tensor) -> None:
        self.hidden, self.cell = like.new_zeros(batch, width), like.new_zeros(batch, width)


class LstmCell(NoFacts, NoStatistics, Mixer):
    """One LSTM layer; dropout acts on what it gives, never on what it carries on.

    As it is, it is torch's fused kernel on whole sequences and the recurrence on steps; what stands inside of the
    recurrence overrides `of_input`, `of_hidden` and `of_cell`, and says that it is not fused.

    Args:
        site: where it stands.
        width: of hidden state and cell.
        forget_bias: constant in the forget gate.

    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate).
    """

    is_fused: bool = True

    offset: Tensor

    def __init__(self, site: Site, width: int, forget_bias: float) -> None:
        super().__init__(site)
        self.width = width
        self.input = nn.Parameter(torch.empty(GATES * width, site.dims.d_model))
        self.recurrent = nn.Parameter(torch.empty(GATES * width, width))
        self.bias = nn.Parameter(torch.zeros(GATES * width)) if site.dims.bias else None
        self.dropout = nn.Dropout(site.dims.dropout)
        offset = torch.zeros(GATES, width)
        offset[FORGET] = forget_bias
        self.register_buffer("offset", offset.flatten(), persistent=False)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq width"]:
        """What it gives at every position of whole sequences; the gradient goes back through all of them."""
        state = LstmState(len(x), self.width, self.recurrent)
        return self.dropout(self._fused(x, state) if self.is_fused else self._unrolled(x, state, None))

    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: LstmState
    ) -> Float[Tensor, "batch new width"]:
        """The update for positions behind those of the state."""
        assert isinstance(context.places, Following)
        return self.dropout(self._unrolled(x, state, context.places.is_valid))

    def new_state(self, batch: int, capacity: int) -> LstmState:
        """Zeros."""
        return LstmState(batch, self.width, self.recurrent)

    def state_bytes(self, context: int) -> int:
        """Hidden state and cell."""
        return 2 * self.width * self.recurrent.element_size()

    def flops(self, work: Work) -> float:
        """Both matrices at every position; the first of a sequence multiplies a hidden state of zeros."""
        return 2 * (self.input.numel() + self.recurrent.numel()) * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """Both matrices, of four gates each, and the bias."""
        rows = (self.width,) * GATES
        yield matrix(self.input, fused=rows)
        yield matrix(self.recurrent, fused=rows)
        if self.bias is not None:
            yield vector(self.bias)

    def init_weights(self, init: Init) -> None:
        """Uniform up to 1 / sqrt(width), as in torch.nn.LSTM: what passes through many gates must not vanish."""
        bound = 1 / math.sqrt(self.width)
        init.uniform(self.input, "input", bound)
        init.uniform(self.recurrent, "recurrent", bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @property
    def _constant(self) -> Float[Tensor, " gates"]:
        """What is added to the gates whatever the input."""
        return self.offset if self.bias is None else self.offset + self.bias

    def _fused(self, x: Float[Tensor, "batch seq d_model"], state: LstmState) -> Float[Tensor, "batch seq width"]:
        """All positions by torch's kernel, which has two biases; the state is left behind."""
        first = (state.hidden.unsqueeze(0), state.cell.unsqueeze(0))
        weights = [self.input, self.recurrent, self._constant, torch.zeros_like(self.offset)]
        with torch.autocast("cpu", enabled=False):  # its kernel needs units for bfloat16 that few processors have
            return torch.lstm(x, first, weights, True, 1, 0.0, self.training, False, True)[0]

    def _unrolled(
        self, x: Float[Tensor, "batch new d_model"], state: LstmState, valid: Bool[Tensor, "batch new"] | None
    ) -> Float[Tensor, "batch new width"]:
        """Position by position; the state takes up those that are no padding."""
        given: list[Tensor] = []
        for at, inputs in enumerate((self.of_input(F.linear(x, self.input)) + self._constant).unbind(1)):
            hidden, cell = self._next(inputs, state.hidden, state.cell)
            given.append(hidden)
            if valid is not None:
                keep = valid[:, at, None]
                hidden, cell = hidden.where(keep, state.hidden), cell.where(keep, state.cell)
            state.hidden, state.cell = hidden, cell
        return torch.stack(given, dim=1) if given else x[..., : self.width]  # no position gives none

    def _next(self, inputs: Float[Tensor, "batch gates"], hidden: Hidden, cell: Hidden) -> tuple[Hidden, Hidden]:
        """Hidden state and cell one position on."""
        gates = inputs + self.of_hidden(F.linear(hidden, self.recurrent))
        write, keep, new, read = gates.chunk(GATES, dim=-1)
        cell = keep.sigmoid() * cell + write.sigmoid() * new.tanh()
        return read.sigmoid() * self.of_cell(cell).tanh(), cell

    def of_input(self, gates: Float[Tensor, "batch new gates"]) -> Float[Tensor, "batch new gates"]:
        """The product with the input."""
        return gates

    def of_hidden(self, gates: Float[Tensor, "batch gates"]) -> Float[Tensor, "batch gates"]:
        """The product with the hidden state."""
        return gates

    def of_cell(self, cell: Hidden) -> Hidden:
        """The cell before it is read."""
        return cell
