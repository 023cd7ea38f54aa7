"""The decoder-only transformer: the baseline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.embedding import Embedding
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.part import Adapting, Kernel
from algoprog.model.interface.places import Following, FromTheStart, Places
from algoprog.model.interface.reports import Reports
from algoprog.model.interface.site import Parts, Site, Work
from algoprog.model.interface.wiring import Skip, Stream


class Transformer(Backbone):
    """Embedding, positions, a stack of blocks on one residual stream, a last norm, and the head.

    Positions and kernel are shared by all layers; the blocks build what is inside them.

    Source: Vaswani et al. 2017 (arXiv 1706.03762); Radford et al. 2018 (GPT).
    """

    axes = frozenset(
        {
            *("block", "mixer", "attention", "norm", "final_norm", "pos", "mlp", "kernel"),
            *("qk_norm", "output_gate", "sinks", "softcap", "skip", "head"),
        }
    )

    def __init__(self, dims: Dims, parts: Parts) -> None:
        super().__init__(dims, parts)
        site = Site.shared(dims)
        self.embedding = Embedding(site)
        self.pos = parts["pos"](site)
        self.kernel = kernel_for(parts, site)
        self.dropout = nn.Dropout(dims.dropout)
        block = parts["block"]
        self.blocks = nn.ModuleList(block(Site.inside(dims, layer), parts) for layer in range(dims.n_layers))
        self.skip = skip_for(parts, site, self.blocks)
        self.final_norm = parts["final_norm"](site)
        self.head = parts["head"](site)

    @property
    def layers(self) -> nn.ModuleList:
        """The blocks."""
        return self.blocks

    def forward(self, tokens: Int[Tensor, "batch seq"], reports: Reports | None = None) -> Float[Tensor, "batch seq v"]:
        """Logits of the next token at every position of whole sequences."""
        context = self._context(FromTheStart(tokens.shape[1]), reports or Reports())
        x = self.skip.opened(self._embedded(tokens, context))
        for layer, block in enumerate(self.blocks):
            entered = self.skip.entering(layer, x, context.carried)
            x = block(entered, context)
            self.skip.left(layer, x, context.carried)
        if reports is not None:
            self._tell_ahead(entered, context)
        return self.logits(self.skip.closed(x))

    def look_ahead(self, further: int, parts: Parts) -> None:
        """Put so many blocks beside the last one, each of which is given what that is and shares norm and head with it.

        Raises:
            ValueError: sequences are too short, or experts would have to adapt.
        """
        if further >= self.dims.seq_len:
            raise ValueError(
                f"objective.n_future={further + 1} looks beyond the end of every sequence of"
                f" model.seq_len={self.dims.seq_len}: use less"
            )
        last = Site.inside(self.dims, self.dims.n_layers - 1)
        self.ahead.extend(parts["block"](last, parts) for _ in range(further))
        if any(isinstance(part, Adapting) for part in self.ahead.modules()):
            raise ValueError(
                "objective=multi_token has layers beside the last, and mlp=deepseek_moe adapts one bias a layer to the"
                " load: choose mlp=moe, or another beside it"
            )

    def new_layer_states(self, batch: int, capacity: int) -> list[Any]:
        """Those of the blocks."""
        return [block.new_state(batch, capacity) for block in self.blocks]  # type: ignore[operator]  # a list of modules

    def continued(
        self, tokens: Int[Tensor, "batch new"], places: Following, layers: list[Any]
    ) -> Float[Tensor, "batch new v"]:
        """Logits at positions behind those of the layers' states, which take them up."""
        context = self._context(places, Reports())
        x = self.skip.opened(self._embedded(tokens, context))
        for layer, (block, state) in enumerate(zip(self.blocks, layers, strict=True)):
            x = self.skip.entering(layer, x, context.carried)
            x = block.step(x, context, state)  # type: ignore[operator]  # a list of modules
            self.skip.left(layer, x, context.carried)
        return self.logits(self.skip.closed(x))

    def flops(self, work: Work) -> float:
        """Forward FLOPs of some work; in training the head is used for every further token besides."""
        further = len(self.ahead) * self.head.flops(work) if work.mode == "train" else 0
        return super().flops(work) + further

    def n_embedding_params(self) -> int:
        """Parameters of the token embedding."""
        return self.embedding.table.weight.numel()

    def _tell_ahead(self, entered: Stream, context: Context) -> None:
        """Logits of tokens further ahead; statistics of the layers that they come from are not kept."""
        for block in self.ahead:
            own = replace(context, reports=Reports())
            context.reports.ahead.append(self.logits(self.skip.closed(block(entered, own))))
            context.reports.losses += own.reports.losses

    def _context(self, places: Places, reports: Reports) -> Context:
        return Context(places, reports, {"pos": self.pos, "kernel": self.kernel, "skip": self.skip})

    def _embedded(self, tokens: Int[Tensor, "batch new"], context: Context) -> Float[Tensor, "batch new d_model"]:
        return self.dropout(context.position.embed(self.embedding(tokens), context.places))


def kernel_for(parts: Parts, site: Site) -> Kernel:
    """The option of the axis `kernel`.

    Raises:
        ValueError: it cannot bound products, and another option would have it do so.
    """
    kernel: Kernel = parts["kernel"](site)
    cap = parts["softcap"](site).cap
    if cap is not None and not kernel.caps:
        raise ValueError(
            f"softcap.cap={cap} bounds the products of queries and keys, which a fused kernel never shows: choose"
            " kernel=math beside it"
        )
    return kernel


def skip_for(parts: Parts, site: Site, blocks: nn.ModuleList) -> Skip:
    """The option of the axis `skip`.

    Raises:
        ValueError: it mixes values, and a layer has none, or weighs updates, and a layer adds none in turn.
    """
    skip: Skip = parts["skip"](site)
    mixers = [part for part in blocks.modules() if isinstance(part, Mixer)]
    if skip.of_values and not all(mixer.has_values for mixer in mixers):
        raise ValueError(
            "skip=value mixes the values of attention heads, which this mixer has not or reads from latents: choose"
            " attention=dense or another that has them"
        )
    otherwise = [type(block).__module__.rpartition(".")[2] for block in blocks if not block.adds_in_turn]
    if skip.of_updates and otherwise:
        raise ValueError(
            f"skip=hyper weighs what the mixer and then the MLP add to the residual stream, and block={otherwise[0]} is"
            " wired otherwise: choose block=pre, sandwich or reordered"
        )
    return skip
