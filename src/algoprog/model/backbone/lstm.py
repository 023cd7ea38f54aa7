"""A stack of LSTM layers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.embedding import Embedding
from algoprog.model.init import Init
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.part import NoFacts, NoStatistics
from algoprog.model.interface.places import Following, FromTheStart
from algoprog.model.interface.reports import Reports
from algoprog.model.interface.roles import Declared, matrix, vector
from algoprog.model.interface.site import Parts, Site, Work

GATES = 4
"""Input, forget, cell, output, in the order of torch.nn.LSTM."""

FORGET = 1
"""The number of the forget gate among them."""

Hidden = Float[Tensor, "batch d_model"]


class LstmState:
    """What an LSTM layer keeps of everything behind it: as much for any length.

    Args:
        batch: sequences.
        width: of hidden state and cell.
        like: decides device and precision.
    """

    def __init__(self, batch: int, width: int, like: Tensor) -> None:
        self.hidden, self.cell = like.new_zeros(batch, width), like.new_zeros(batch, width)


class LstmLayer(NoFacts, NoStatistics, Mixer):
    """One layer of `d_model` units; dropout acts on what it gives, never on what it carries on.

    With a norm, the products with the input and with the hidden state are each normalised over all gates together, and
    the cell before it is read (equations 20 to 22 of Ba et al.); without one it is torch's fused kernel.

    Args:
        site: where it stands.
        norm: builds the three norms.
        forget_bias: constant in the forget gate.

    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate); Ba et al. 2016 (arXiv 1607.06450).
    """

    offset: Tensor

    def __init__(self, site: Site, norm: Any, forget_bias: float) -> None:
        super().__init__(site)
        width = site.dims.d_model
        self.input = nn.Parameter(torch.empty(GATES * width, width))
        self.recurrent = nn.Parameter(torch.empty(GATES * width, width))
        self.bias = nn.Parameter(torch.zeros(GATES * width)) if site.dims.bias else None
        of_gates = Site(site.dims, site.layer, GATES * width)
        self.input_norm, self.recurrent_norm, self.cell_norm = norm(of_gates), norm(of_gates), norm(site)
        self.dropout = nn.Dropout(site.dims.dropout)
        offset = torch.zeros(GATES, width)
        offset[FORGET] = forget_bias
        self.register_buffer("offset", offset.flatten(), persistent=False)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """What it gives at every position of whole sequences; the gradient goes back through all of them."""
        state = LstmState(len(x), x.shape[-1], self.recurrent)
        return self.dropout(self._fused(x, state) if self.cell_norm.is_identity else self._unrolled(x, state, None))

    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: LstmState
    ) -> Float[Tensor, "batch new d_model"]:
        """The update for positions behind those of the state."""
        assert isinstance(context.places, Following)
        return self.dropout(self._unrolled(x, state, context.places.is_valid))

    def new_state(self, batch: int, capacity: int) -> LstmState:
        """Zeros."""
        return LstmState(batch, self.site.dims.d_model, self.recurrent)

    def state_bytes(self, context: int) -> int:
        """Hidden state and cell."""
        return 2 * self.site.dims.d_model * self.recurrent.element_size()

    def flops(self, work: Work) -> float:
        """Both matrices at every position; the first of a sequence multiplies a hidden state of zeros."""
        return 2 * (self.input.numel() + self.recurrent.numel()) * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """Both matrices, of four gates each, and the bias."""
        rows = (self.site.dims.d_model,) * GATES
        yield matrix(self.input, fused=rows)
        yield matrix(self.recurrent, fused=rows)
        if self.bias is not None:
            yield vector(self.bias)

    def init_weights(self, init: Init) -> None:
        """Uniform up to 1 / sqrt(d_model), as in torch.nn.LSTM: what passes through many gates must not vanish."""
        bound = 1 / math.sqrt(self.site.dims.d_model)
        init.uniform(self.input, "input", bound)
        init.uniform(self.recurrent, "recurrent", bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @property
    def _constant(self) -> Float[Tensor, " gates"]:
        """What is added to the gates whatever the input."""
        return self.offset if self.bias is None else self.offset + self.bias

    def _fused(self, x: Float[Tensor, "batch seq d_model"], state: LstmState) -> Float[Tensor, "batch seq d_model"]:
        """All positions by torch's kernel, which has two biases; the state is left behind."""
        first = (state.hidden.unsqueeze(0), state.cell.unsqueeze(0))
        weights = [self.input, self.recurrent, self._constant, torch.zeros_like(self.offset)]
        with torch.autocast("cpu", enabled=False):  # its kernel needs units for bfloat16 that few processors have
            return torch.lstm(x, first, weights, True, 1, 0.0, self.training, False, True)[0]

    def _unrolled(
        self, x: Float[Tensor, "batch new d_model"], state: LstmState, valid: Bool[Tensor, "batch new"] | None
    ) -> Float[Tensor, "batch new d_model"]:
        """Position by position; the state takes up those that are no padding."""
        given: list[Tensor] = []
        for at, inputs in enumerate((self.input_norm(F.linear(x, self.input)) + self._constant).unbind(1)):
            hidden, cell = self._next(inputs, state.hidden, state.cell)
            given.append(hidden)
            if valid is not None:
                keep = valid[:, at, None]
                hidden, cell = hidden.where(keep, state.hidden), cell.where(keep, state.cell)
            state.hidden, state.cell = hidden, cell
        return torch.stack(given, dim=1) if given else x  # no position gives none, as wide as the model too

    def _next(self, inputs: Float[Tensor, "batch gates"], hidden: Hidden, cell: Hidden) -> tuple[Hidden, Hidden]:
        """Hidden state and cell one position on."""
        gates = inputs + self.recurrent_norm(F.linear(hidden, self.recurrent))
        write, keep, new, read = gates.chunk(GATES, dim=-1)
        cell = keep.sigmoid() * cell + write.sigmoid() * new.tanh()
        return read.sigmoid() * self.cell_norm(cell).tanh(), cell


class Lstm(Backbone):
    """Embedding, LSTM layers one on the other without a residual stream, a last norm, and the head.

    Order is in the recurrence, so there are no positions; dropout acts on the embedding and on what each layer gives.

    Args:
        dims: sizes of the model; `n_heads` has no meaning here.
        parts: build its norms.
        forget_bias: constant in every forget gate, so that at first cells remember.

    Source: Zaremba et al. 2014 (arXiv 1409.2329); forget bias: Jozefowicz et al. 2015; norms: Ba et al. 2016
        (arXiv 1607.06450), equations 20 to 22.
    """

    axes = frozenset({"norm", "final_norm", "head"})

    def __init__(self, dims: Dims, parts: Parts, *, forget_bias: float) -> None:
        super().__init__(dims, parts)
        self.embedding = Embedding(Site.shared(dims))
        self.dropout = nn.Dropout(dims.dropout)
        self.stack = nn.ModuleList(
            LstmLayer(Site.inside(dims, layer), parts["norm"], forget_bias) for layer in range(dims.n_layers)
        )
        self.final_norm = parts["final_norm"](Site.shared(dims))
        self.head = parts["head"](Site.shared(dims))

    @property
    def layers(self) -> nn.ModuleList:
        """The LSTM layers."""
        return self.stack

    def forward(self, tokens: Int[Tensor, "batch seq"], reports: Reports | None = None) -> Float[Tensor, "batch seq v"]:
        """Logits of the next token at every position of whole sequences."""
        context = Context(FromTheStart(tokens.shape[1]), reports or Reports(), {})
        x = self.dropout(self.embedding(tokens))
        for layer in self.stack:
            x = layer(x, context)
        return self.head(self.final_norm(x), self.embedding.table.weight)

    def new_layer_states(self, batch: int, capacity: int) -> list[LstmState]:
        """Those of the LSTM layers."""
        return [layer.new_state(batch, capacity) for layer in self.stack]  # type: ignore[operator]  # a list of modules

    def continued(
        self, tokens: Int[Tensor, "batch new"], places: Following, layers: list[LstmState]
    ) -> Float[Tensor, "batch new v"]:
        """Logits at positions behind those of the layers' states, which take them up."""
        context = Context(places, Reports(), {})
        x = self.dropout(self.embedding(tokens))
        for layer, state in zip(self.stack, layers, strict=True):
            x = layer.step(x, context, state)  # type: ignore[operator]  # a list of modules
        return self.head(self.final_norm(x), self.embedding.table.weight)

    def n_embedding_params(self) -> int:
        """Parameters of the token embedding."""
        return self.embedding.table.weight.numel()
