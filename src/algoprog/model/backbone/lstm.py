"""A stack of LSTM layers."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.embedding import Embedding
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.context import Context
from algoprog.model.interface.places import Following, FromTheStart
from algoprog.model.interface.reports import Reports
from algoprog.model.interface.site import Parts, Site
from algoprog.model.recurrence.lstm_cell import GATES, Hidden, LstmCell, LstmState


class LstmLayer(LstmCell):
    """One layer of `d_model` units, with norms inside of the recurrence.

    The products with the input and with the hidden state are each normalised over all gates together, and the cell
    before it is read (equations 20 to 22 of Ba et al.); without a norm it is torch's fused kernel.

    Args:
        site: where it stands.
        norm: builds the three norms.
        forget_bias: constant in the forget gate.

    Source: Ba et al. 2016 (arXiv 1607.06450).
    """

    def __init__(self, site: Site, norm: Any, forget_bias: float) -> None:
        super().__init__(site, site.dims.d_model, forget_bias)
        of_gates = Site(site.dims, site.layer, GATES * site.dims.d_model)
        self.input_norm, self.recurrent_norm, self.cell_norm = norm(of_gates), norm(of_gates), norm(site)
        self.is_fused = self.cell_norm.is_identity

    def of_input(self, gates: Float[Tensor, "batch new gates"]) -> Float[Tensor, "batch new gates"]:
        """Normalised."""
        return self.input_norm(gates)

    def of_hidden(self, gates: Float[Tensor, "batch gates"]) -> Float[Tensor, "batch gates"]:
        """Normalised."""
        return self.recurrent_norm(gates)

    def of_cell(self, cell: Hidden) -> Hidden:
        """Normalised."""
        return self.cell_norm(cell)


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
        return self.logits(x)

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
        return self.logits(x)

    def n_embedding_params(self) -> int:
        """Parameters of the token embedding."""
        return self.embedding.table.weight.numel()
