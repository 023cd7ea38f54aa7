"""A piece of a model, and the pieces that stand alone: norms, positions, kernels.

Convention of every `flops`: forward pass only, two FLOPs a multiply-add, matrix products only (norms, activations,
softmax and embedding look-ups are not counted), over all tokens of the work.
Source: Kaplan et al. 2020 (arXiv 2001.08361), section 2.1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.places import Places
from algoprog.model.interface.reports import Statistic
from algoprog.model.interface.roles import Declared
from algoprog.model.interface.site import Site, Work


class Part(nn.Module, ABC):
    """A piece of the model that says what it costs, what its parameters are for and how they begin.

    What it says is its own: parts within it speak for themselves.

    Args:
        site: where it stands.
    """

    without: ClassVar[Mapping[str, str]] = {}
    """Axes that mean nothing beside this option, each with the reason as the end of a sentence."""

    of_whole_batches: ClassVar[bool] = False
    """Whether what it computes in training depends on the whole batch, which may then not be cut."""

    bounded_by: ClassVar[str | None] = None
    """Why it has nothing for positions beyond the context of the model, as the end of a sentence; None where it has."""

    wide: ClassVar[tuple[str, ...]] = ()
    """Buffers that stay in float32 where a model is cast to bfloat16, whose eight bits cannot hold them."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Part:
        before = {name: getattr(self, name) for name in self.wide}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch declares no types of it
        for name, buffer in before.items():
            moved = getattr(self, name)
            if moved.dtype == torch.bfloat16:
                setattr(self, name, buffer.to(moved.device))
        return self

    @abstractmethod
    def flops(self, work: Work) -> float:
        """Forward FLOPs of all tokens of the work."""

    @abstractmethod
    def parameters_by_role(self) -> Iterable[Declared]:
        """Every parameter of its own, once."""

    @abstractmethod
    def init_weights(self, init: Init) -> None:
        """Fill the parameters; those that the constructor sets to constants are left."""

    @abstractmethod
    def facts(self) -> Mapping[str, float]:
        """Constants of what was built, for the record; of parts that tell the same one, it holds the mean."""

    @abstractmethod
    def statistics(self) -> Mapping[str, Statistic]:
        """What it reports to the context of a forward pass, by name."""


class NoParameters:
    """For parts without parameters of their own."""

    def parameters_by_role(self) -> Iterable[Declared]:
        """None."""
        return ()

    def init_weights(self, init: Init) -> None:
        """Nothing to fill."""


class NoFlops:
    """For parts without matrix products of their own."""

    def flops(self, work: Work) -> float:
        """Free by the convention."""
        return 0


class NoFacts:
    """For parts whose constants are their settings, which the record holds anyhow."""

    def facts(self) -> Mapping[str, float]:
        """None."""
        return {}


class NoStatistics:
    """For parts that have nothing to report."""

    def statistics(self) -> Mapping[str, Statistic]:
        """None."""
        return {}


class Adapting(Part):
    """A part that changes between steps by a rule of its own, outside of autograd; what it changes are buffers."""

    @abstractmethod
    def adapt(self, statistics: Mapping[str, Tensor]) -> None:
        """Change, once an optimizer step; given are its own statistics of that step, over all devices."""


class Norm(NoFlops, NoFacts, NoStatistics, Part):
    """Normalises vectors of `site.width` features."""

    @property
    @abstractmethod
    def is_identity(self) -> bool:
        """Whether it does nothing, so that its place has no meaning."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """The vectors, normalised."""


class Position(NoFlops, NoFacts, NoStatistics, Part):
    """Where a token stands: said with its embedding, by turning queries and keys, or by a bias of their products."""

    @abstractmethod
    def embed(self, x: Float[Tensor, "batch new d_model"], places: Places) -> Float[Tensor, "batch new d_model"]:
        """Add positions to the token embeddings."""

    @abstractmethod
    def rotate(
        self, q: Float[Tensor, "batch heads new d_head"], k: Float[Tensor, "batch kv_heads new d_head"], places: Places
    ) -> tuple[Float[Tensor, "batch heads new d_head"], Float[Tensor, "batch kv_heads new d_head"]]:
        """Turn queries and keys so that their product depends on the distance between them."""

    @abstractmethod
    def bias(
        self, queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"]
    ) -> Float[Tensor, "*batch heads queries keys"] | None:
        """What is added to the scaled product of a query at one position and a key at another; None for nothing."""


class EmbedsNothing:
    """For positions that leave the embedding as it is."""

    def embed(self, x: Float[Tensor, "batch new d_model"], places: Places) -> Float[Tensor, "batch new d_model"]:
        """The embeddings as they are."""
        return x


class TurnsNothing:
    """For positions that leave queries and keys as they are."""

    def rotate(
        self, q: Float[Tensor, "batch heads new d_head"], k: Float[Tensor, "batch kv_heads new d_head"], places: Places
    ) -> tuple[Float[Tensor, "batch heads new d_head"], Float[Tensor, "batch kv_heads new d_head"]]:
        """Queries and keys as they are."""
        return q, k


class BiasesNothing:
    """For positions that leave the products of queries and keys as they are."""

    def bias(
        self, queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"]
    ) -> Float[Tensor, "*batch heads queries keys"] | None:
        """None."""
        return None


class Kernel(NoParameters, NoFlops, NoFacts, NoStatistics, Part):
    """Computes softmax(scale q k^T + bias) v: how, never what. Every kernel gives the same result.

    Its work is that of the attention which calls it.
    """

    caps: ClassVar[bool] = True
    """Whether it can bound the products; one that cannot is refused beside an option that does."""

    @abstractmethod
    def forward(
        self,
        q: Float[Tensor, "batch heads queries d_head"],
        k: Float[Tensor, "batch kv_heads keys d_head"],
        v: Float[Tensor, "batch kv_heads keys d_value"],
        mask: Bool[Tensor, "*#batch queries keys"] | None,
        *,
        scale: float | None = None,
        bias: Float[Tensor, "*#batch queries keys"] | None = None,
        sinks: Float[Tensor, " heads"] | None = None,
        cap: float | None = None,
    ) -> Float[Tensor, "batch heads queries d_value"]:
        """Attend; `kv_heads` divides `heads`.

        Args:
            q: queries, at most as many as keys.
            k: keys.
            v: values, of any width.
            mask: True where a query may look; None means causal, the last query aligned with the last key.
            scale: of the products; None for 1 / sqrt(d_head).
            bias: added to the scaled products, behind the bound.
            sinks: of every head, the product with a key that all queries see and whose value is zero.
            cap: bounds the scaled products x, as cap tanh(x / cap).
        """
