"""MLPs that lie one upon the other in one tensor, of which every token goes through some."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.part import NoFacts, NoStatistics, Part
from algoprog.model.interface.roles import Declared, matrix, vector
from algoprog.model.interface.site import Site, Work

Rows = Float[Tensor, "rows width"]


class StackedLinear(nn.Module):
    """One linear layer an expert.

    Args:
        n_experts: layers.
        d_in: features of a row.
        d_out: features of what comes out.
        bias: whether it has one.
    """

    def __init__(self, n_experts: int, d_in: int, d_out: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_experts, d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(n_experts, d_out)) if bias else None

    def forward(self, rows: Rows, sizes: Sequence[int]) -> Float[Tensor, "rows d_out"]:
        """The first `sizes[0]` rows through the first layer, and so on; a layer without rows has zero gradient."""
        biases = [None] * len(sizes) if self.bias is None else self.bias.unbind()
        layers = zip(rows.split(list(sizes)), self.weight.unbind(), biases, strict=True)
        return torch.cat([F.linear(*layer) for layer in layers])


class Experts(NoFacts, NoStatistics, Part):
    """MLPs of equal shape.

    Args:
        site: where they stand.
        n_experts: how many there are.
        per_token: how many of them one token goes through.
        d_ff: hidden features of each.
    """

    def __init__(self, site: Site, n_experts: int, per_token: int, d_ff: int) -> None:
        super().__init__(site)
        self.n_experts, self.per_token, self.d_ff = n_experts, per_token, d_ff

    @property
    @abstractmethod
    def layers(self) -> dict[str, StackedLinear]:
        """The linear layers by name; `down` writes the residual stream."""

    @abstractmethod
    def transformed(self, rows: Rows, sizes: Sequence[int]) -> Rows:
        """What the experts make of rows sorted by expert, so many of each."""

    def everywhere(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """Every position through the only expert."""
        return self.transformed(x.flatten(0, 1), [x.shape[0] * x.shape[1]]).unflatten(0, x.shape[:2])

    # How many rows an expert has is not known before it runs: a compiler leaves this to the interpreter (torch has no
    # type for that decorator).
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(
        self,
        x: Float[Tensor, "tokens d_model"],
        chosen: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens d_model"]:
        """For each token the weighted sum of what its experts make of it; none is dropped, whatever the load.

        Tokens are sorted by expert, so that each expert multiplies once, and no more rows than it has.
        """
        top_k = chosen.shape[1]
        order = chosen.flatten().argsort(stable=True)
        updates = self.transformed(x[order // top_k], self._sizes(chosen))[order.argsort()]
        return (updates.unflatten(0, (-1, top_k)) * weights[..., None]).sum(dim=1)

    def flops(self, work: Work) -> float:
        """The matrices of as many experts as a token goes through."""
        weights = sum(layer.weight.numel() for layer in self.layers.values())
        return 2 * weights // self.n_experts * self.per_token * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """Matrices and biases of all experts, of which a token uses its share."""
        active = self.per_token / self.n_experts
        for layer in self.layers.values():
            yield matrix(layer.weight, active=active)
            if layer.bias is not None:
                yield vector(layer.bias, active=active)

    def init_weights(self, init: Init) -> None:
        """From one stream an expert and matrix: further experts leave those before them as they are."""
        for name, layer in self.layers.items():
            fill = init.residual if name == "down" else init.normal
            for expert, weight in enumerate(layer.weight.detach().unbind()):
                fill(weight, f"{expert}.{name}")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _sizes(self, chosen: Int[Tensor, "tokens top_k"]) -> list[int]:
        """Rows of every expert; without data, even shares."""
        if chosen.is_meta:
            each, more = divmod(chosen.numel(), self.n_experts)
            return [each + (expert < more) for expert in range(self.n_experts)]
        sizes: list[int] = torch.bincount(chosen.flatten(), minlength=self.n_experts).tolist()
        return sizes


class GeluExperts(Experts):
    """down(gelu(up(x)))."""

    def __init__(self, site: Site, n_experts: int, per_token: int, d_ff: int) -> None:
        super().__init__(site, n_experts, per_token, d_ff)
        dims = site.dims
        self.up = StackedLinear(n_experts, dims.d_model, d_ff, bias=dims.bias)
        self.down = StackedLinear(n_experts, d_ff, dims.d_model, bias=dims.bias)

    @property
    def layers(self) -> dict[str, StackedLinear]:
        """Two."""
        return {"up": self.up, "down": self.down}

    def transformed(self, rows: Rows, sizes: Sequence[int]) -> Rows:
        """What the experts make of rows sorted by expert, so many of each."""
        return self.down(F.gelu(self.up(rows, sizes)), sizes)


class SwigluExperts(Experts):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, site: Site, n_experts: int, per_token: int, d_ff: int) -> None:
        super().__init__(site, n_experts, per_token, d_ff)
        dims = site.dims
        self.gate = StackedLinear(n_experts, dims.d_model, d_ff, bias=dims.bias)
        self.up = StackedLinear(n_experts, dims.d_model, d_ff, bias=dims.bias)
        self.down = StackedLinear(n_experts, d_ff, dims.d_model, bias=dims.bias)

    @property
    def layers(self) -> dict[str, StackedLinear]:
        """Three."""
        return {"gate": self.gate, "up": self.up, "down": self.down}

    def transformed(self, rows: Rows, sizes: Sequence[int]) -> Rows:
        """What the experts make of rows sorted by expert, so many of each."""
        return self.down(F.silu(self.gate(rows, sizes)) * self.up(rows, sizes), sizes)


ACTIVATIONS: dict[str, type[Experts]] = {"gelu": GeluExperts, "swiglu": SwigluExperts}
"""What lies between the matrices of an expert, by the name of the dense MLP that has the same."""
