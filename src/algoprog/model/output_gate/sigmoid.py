"""A gate behind attention that is read from its input."""

from __future__ import annotations

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.roles import Declared, linear
from algoprog.model.interface.site import Site, Work
from algoprog.model.interface.softmax import OutputGate

PER = ("feature", "head")


class SigmoidGate(OutputGate):
    """Scales what was mixed by sigmoid(gate(x)), of every feature by itself or of every head.

    Args:
        site: where it stands.
        per: feature or head, as many as gates are read.

    Raises:
        ValueError: the knob is neither.

    Source: Qiu et al. 2025 (arXiv 2505.06708), section 3.2, position G1; as in Qwen3-Next.
    """

    def __init__(self, site: Site, *, per: str) -> None:
        super().__init__(site)
        if per not in PER:
            raise ValueError(f"output_gate=sigmoid: output_gate.per={per} must be feature or head")
        dims = site.dims
        self.n_heads = dims.n_heads
        self.gate = nn.Linear(dims.d_model, dims.d_model if per == "feature" else dims.n_heads, bias=dims.bias)

    def forward(
        self, mixed: Float[Tensor, "batch new d_model"], x: Float[Tensor, "batch new d_model"]
    ) -> Float[Tensor, "batch new d_model"]:
        """Scaled by what the input says; gates of a head serve all its features."""
        gates = self.gate(x).sigmoid().unflatten(-1, (self.n_heads, -1))
        return (mixed.unflatten(-1, (self.n_heads, -1)) * gates).flatten(-2)

    def flops(self, work: Work) -> float:
        """One matrix."""
        return 2 * self.gate.weight.numel() * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """The matrix and its bias."""
        yield from linear(self.gate)

    def init_weights(self, init: Init) -> None:
        """Small, so that every gate begins half open."""
        init.normal(self.gate.weight, "gate")
        if self.gate.bias is not None:
            nn.init.zeros_(self.gate.bias)
