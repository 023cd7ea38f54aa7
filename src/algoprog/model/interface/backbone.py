"""The whole of a model, and the wiring of one of its layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.embedding import Embedding
from algoprog.model.init import Gpt2Rule, Init, Rule, Scales
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Attention, Mixer
from algoprog.model.interface.part import NoFacts, NoFlops, NoParameters, Norm, NoStatistics, Part
from algoprog.model.interface.places import Following
from algoprog.model.interface.reports import Reports, Statistic, key
from algoprog.model.interface.roles import Declared, Role
from algoprog.model.interface.site import Parts, Work
from algoprog.model.interface.wiring import Head, Stream

TRAIN_OVER_FORWARD = 3
"""A backward pass costs two forward passes; nothing is recomputed."""

AHEAD = "ahead."
"""Where the path of a part begins that training alone has."""


class Block(NoParameters, NoFlops, NoFacts, NoStatistics, Part):
    """One layer: how its mixer and its MLP are wired to the residual stream, and where the norms stand.

    Wiring has neither parameters nor products; an option that has some of its own says so by overriding these.

    Args:
        site: where it stands.
        parts: build what it wires.
    """

    attention: Mixer
    """Its mixer of positions, whatever the kind: initial weights and checkpoints know it by this name."""

    adds_in_turn: ClassVar[bool] = True
    """Whether the mixer's update is added to the stream, then the MLP's, and nothing else is done to it."""

    @abstractmethod
    def wired(self, x: Stream, mix: Callable[[Tensor], Tensor], context: Context) -> Stream:
        """The residual stream after this layer, where `mix` is what the mixer makes of its input."""

    def forward(self, x: Stream, context: Context) -> Stream:
        """The residual stream after this layer, for whole sequences."""
        return self.wired(x, lambda inputs: self.attention(inputs, context), context)

    def new_state(self, batch: int, capacity: int) -> Any:
        """That of its mixer."""
        return self.attention.new_state(batch, capacity)

    def step(self, x: Stream, context: Context, state: Any) -> Stream:
        """The residual stream after this layer, for positions behind those of the state."""
        return self.wired(x, lambda inputs: self.attention.step(inputs, context, state), context)

    def joined(self, place: int, x: Stream, update: Callable[[Tensor], Tensor], context: Context) -> Stream:
        """The stream with an update, by the axis `skip`: their sum, but for options that weigh it."""
        assert self.site.layer is not None
        return context.skip.joined(self.site.layer, place, x, update)

    def placed(self, norm: Norm, option: str) -> Norm:
        """A norm whose place matters.

        Raises:
            ValueError: it does nothing, so that this block would be another option under a second name.
        """
        if norm.is_identity:
            raise ValueError(
                f"block={option} places norms otherwise than block=pre, and norm=none has none to place, so that both"
                " are the same function: choose a norm, for example norm=ln, or leave block=pre"
            )
        return norm


@dataclass(eq=False)
class State:
    """What a model keeps of the sequences that it goes on with.

    Args:
        lengths: positions that each row holds.
        most: at least the longest of them, known without asking the device.
        capacity: positions that there is room for.
        layers: what the layers keep, in order.
    """

    lengths: Int[Tensor, " batch"]
    most: int
    capacity: int
    layers: list[Any]

    def following(self, valid: Int[Tensor, " batch"], new: int) -> Following:
        """The places of `new` further positions, of which each row has `valid`.

        Raises:
            ValueError: there is no room for them.
        """
        if self.most + new > self.capacity:
            raise ValueError(f"{self.most} + {new} positions are more than the state has room for, {self.capacity}")
        return Following(self.lengths, valid, new, self.capacity)

    def advance(self, places: Following) -> None:
        """Count what was taken up."""
        self.lengths, self.most = self.lengths + places.valid, self.most + places.new


class Backbone(nn.Module, ABC):
    """A language model from tokens to logits, made of parts: what is true of every one of them is here.

    Args:
        dims: sizes of the model.
        parts: build its parts, by axis.
    """

    embedding: Embedding
    final_norm: Norm
    head: Head

    axes: ClassVar[frozenset[str]]
    """The axes of architecture that it has; the others mean nothing under it."""

    def __init__(self, dims: Dims, parts: Parts) -> None:
        super().__init__()
        assert parts.keys() == self.axes
        self.dims = dims
        self.ahead = nn.ModuleList()  # of training alone, each with logits of its own
        self.scales = Scales()

    @property
    @abstractmethod
    def layers(self) -> nn.ModuleList:
        """What repeats with depth: shards of the model and estimates of its memory are cut here."""

    @abstractmethod
    def forward(self, tokens: Int[Tensor, "batch seq"], reports: Reports | None = None) -> Float[Tensor, "batch seq v"]:
        """Logits of the next token at every position of whole sequences.

        Args:
            tokens: the sequences.
            reports: takes what the parts report; None where nobody wants to know.
        """

    @abstractmethod
    def new_layer_states(self, batch: int, capacity: int) -> list[Any]:
        """What each layer keeps of the positions behind it: nothing yet."""

    @abstractmethod
    def continued(
        self, tokens: Int[Tensor, "batch new"], places: Following, layers: list[Any]
    ) -> Float[Tensor, "batch new v"]:
        """Logits at positions behind those of the layers' states, which take them up."""

    def look_ahead(self, further: int, parts: Parts) -> None:
        """Have training predict so many further tokens at every position; evaluation and decoding do not.

        Raises:
            ValueError: the backbone cannot.
        """
        raise ValueError(
            "objective=multi_token puts further layers beside the last one of a transformer, and this backbone is none:"
            " choose backbone=transformer beside it"
        )

    def logits(self, x: Float[Tensor, "batch new d_model"]) -> Float[Tensor, "batch new v"]:
        """What the head makes of the stream behind the last layer."""
        read = self.final_norm(x)
        return self.head(read if self.scales.output == 1 else self.scales.output * read, self.embedding.table.weight)

    def new_state(self, batch: int, capacity: int) -> State:
        """An empty state with room for `capacity` positions a row.

        Raises:
            ValueError: they lie beyond the context, where a part has nothing.
        """
        if capacity > self.dims.seq_len and self.bounded_by:
            raise ValueError(f"there is no room for {capacity} positions, for {self.bounded_by}")
        device = next(self.parameters()).device
        lengths = torch.zeros(batch, dtype=torch.long, device=device)
        return State(lengths, 0, capacity, self.new_layer_states(batch, capacity))

    def step(
        self, tokens: Int[Tensor, "batch new"], state: State, valid: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch new v"]:
        """Logits at one or more positions behind those of the state, which takes them up.

        Args:
            tokens: the new tokens, at the left; padding at the right.
            state: is changed.
            valid: how many tokens of each row are no padding; None where there is none.

        Raises:
            ValueError: the state has no room for them.
        """
        new = tokens.shape[1]
        valid = torch.full_like(state.lengths, new) if valid is None else valid
        places = state.following(valid, new)
        logits = self.continued(tokens, places, state.layers)
        state.advance(places)
        return logits

    def parts(self) -> dict[str, Part]:
        """Every part by its path."""
        return {name: module for name, module in self.named_modules() if isinstance(module, Part)}

    def lasting_parts(self) -> dict[str, Part]:
        """Those of evaluation and decoding: all but what training alone has."""
        return {name: part for name, part in self.parts().items() if not name.startswith(AHEAD)}

    def init_weights(self, seed: int, rule: Rule | None = None) -> None:
        """Fill every part from streams keyed by (seed, path), by a rule; None for GPT-2's, the baseline's.

        What the rule scales beside weights is scaled from now on.
        """
        rule = (rule or Gpt2Rule()).at(self.dims)
        self.scales, init = rule.scales, Init(seed, self.dims.n_layers, rule)
        for mixer in (part for part in self.parts().values() if isinstance(part, Attention)):
            mixer.sharpness = rule.scales.attention
        for name, part in self.parts().items():
            part.init_weights(init.child(name))

    def parameters_by_role(self) -> list[Declared]:
        """Every parameter as its part declares it, in the order of `parameters()`.

        Raises:
            AssertionError: a parameter is declared by no part, or twice.
        """
        lasting = self.lasting_parts()
        rates = self.scales.rates
        declared = [
            replace(own, active=own.active if name in lasting else 0.0, rate=rates.get(own.role, 1.0))
            for name, part in self.parts().items()
            for own in part.parameters_by_role()
        ]
        by_id = {id(own.parameter): own for own in declared}
        names = dict(self.named_parameters())
        undeclared = [name for name, parameter in names.items() if id(parameter) not in by_id]
        assert not undeclared, f"no part declares {undeclared}"
        assert len(declared) == len(names), "a parameter is declared twice"
        return [by_id[id(parameter)] for parameter in names.values()]

    def n_params(self) -> int:
        """Parameters that must be held."""
        return sum(parameter.numel() for parameter in self.parameters())

    def n_active_params(self) -> int:
        """Parameters that one token uses, behind training."""
        return round(sum(own.active * own.parameter.numel() for own in self.parameters_by_role()))

    def n_active_body_params(self) -> int:
        """Parameters but embeddings and head that one token uses: what a budget in tokens per parameter counts."""
        body = (own for own in self.parameters_by_role() if own.role not in (Role.EMBEDDING, Role.HEAD))
        return round(sum(own.active * own.parameter.numel() for own in body))

    @abstractmethod
    def n_embedding_params(self) -> int:
        """Parameters of the token embedding."""

    def flops(self, work: Work) -> float:
        """Forward FLOPs of some work."""
        parts = self.parts() if work.mode == "train" else self.lasting_parts()
        return sum(part.flops(work) for part in parts.values())

    def flops_per_token(self) -> float:
        """Model FLOPs of training on one token: forward and backward, at the full context."""
        return TRAIN_OVER_FORWARD * self.flops(Work.training(self.dims.seq_len)) / self.dims.seq_len

    def state_bytes(self, context: int) -> int:
        """Bytes of the states of all layers for one sequence, with room for `context` positions."""
        return sum(part.state_bytes(context) for part in self.lasting_parts().values() if isinstance(part, Mixer))

    def facts(self) -> dict[str, float]:
        """Constants of what was built, for the record: what its parts tell, and what it costs to use."""
        told: dict[str, list[float]] = {}
        for part in self.lasting_parts().values():
            for name, value in part.facts().items():
                told.setdefault(name, []).append(value)
        means = {name: sum(values) / len(values) for name, values in told.items()}
        seq_len = self.dims.seq_len
        return {
            **means,
            "state_bytes": self.state_bytes(seq_len),
            "prefill_flops_per_token": self.flops(Work.prefill(seq_len)) / seq_len,
            "decode_flops_per_token": self.flops(Work.decode(seq_len)),
        }

    def statistics(self) -> dict[str, Statistic]:
        """What its parts report, by the key under which reports hold it."""
        return dict(self._statistics())

    def _statistics(self) -> Iterator[tuple[str, Statistic]]:
        seen: set[str] = set()
        for part in self.lasting_parts().values():
            for name, statistic in part.statistics().items():
                place = key(part.site.layer, name)
                assert place not in seen, f"two parts of a layer report {name}"
                seen.add(place)
                yield place, statistic

    def attention_density(self) -> float | None:
        """Attended over causal keys, mean of the layers; None without attention."""
        return self.facts().get("attention_density")

    @property
    def bounded_by(self) -> str | None:
        """Why it takes no positions beyond its context, as the end of a sentence; None where it does."""
        return next((part.bounded_by for part in self.parts().values() if part.bounded_by), None)

    @property
    def of_whole_batches(self) -> bool:
        """Whether any part computes over a whole batch, which may then not be cut."""
        return any(part.of_whole_batches for part in self.parts().values())

    @property
    def sparse(self) -> bool:
        """Whether the attention of any layer is configured to leave keys out."""
        return any(part.sparse for part in self.parts().values() if isinstance(part, Attention))
