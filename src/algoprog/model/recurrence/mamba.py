"""A selective state space around which stand a short convolution, a gate and a norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.part import NoFacts, NoStatistics
from algoprog.model.interface.places import Following
from algoprog.model.interface.roles import Declared, linear, vector
from algoprog.model.interface.site import Site, Work
from algoprog.model.recurrence.state import RecurrentState
from algoprog.model.recurrence.state_space import chunked, recurrent

EPS = 1e-5
"""Added to mean squares before their root, as by the authors."""

RATES, STEPS = (1.0, 16.0), (1e-3, 0.1)
"""Between which rate and step of a head begin; their product is the logarithm of what it forgets in a position."""


class StateSpaceMixer(NoFacts, NoStatistics, Mixer):
    """A memory by head that forgets a share of all, then adds what is new: a state space read as linear attention.

    Inputs, and the keys and queries that all heads share, go through a short convolution over their own past and a
    SiLU. A step that is read from the input says how much a head takes up, and with its rate how much it forgets. What
    is read is gated, then normalised. Whole sequences and prompts are computed in chunks, single positions by the
    recurrence.

    Its FLOPs are those of the recurrence and of the convolution; chunks multiply more, as attention does whose
    masked half is computed.

    Args:
        site: where it stands.
        n_heads: divides `inner`.
        inner: features of all heads.
        d_state: entries of the state of a feature.
        conv_width: positions that the convolution sees, its own the last.

    Raises:
        ValueError: the convolution sees no position.

    Source: Dao and Gu 2024 (arXiv 2405.21060), sections 6 and 7, with one group of keys and queries; initial rates and
        steps of the authors' code.
    """

    def __init__(self, site: Site, n_heads: int, inner: int, d_state: int, conv_width: int) -> None:
        super().__init__(site)
        dims = site.dims
        if conv_width < 1:
            raise ValueError(f"mixer.conv_width={conv_width} must be at least 1")
        self.n_heads, self.d_state = n_heads, d_state
        self.widths = (inner, inner, d_state, d_state, n_heads)
        self.inputs = nn.Linear(dims.d_model, sum(self.widths), bias=dims.bias)
        self.conv = nn.Parameter(torch.empty(inner + 2 * d_state, conv_width))
        self.conv_bias = nn.Parameter(torch.zeros(len(self.conv))) if dims.bias else None
        self.log_rate, self.dt_offset = (nn.Parameter(torch.empty(n_heads)) for _ in range(2))
        self.direct = nn.Parameter(torch.ones(n_heads))
        self.gain = nn.Parameter(torch.ones(inner))
        self.out = nn.Linear(inner, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream, in chunks."""
        return self._read(x, self.new_state(len(x), 0), None)

    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: RecurrentState
    ) -> Float[Tensor, "batch new d_model"]:
        """The update for positions behind those of the state, by the recurrence where it is one."""
        assert isinstance(context.places, Following)
        if not context.places.new:
            return x  # of no position, as attention gives
        return self._read(x, state, context.places)

    def new_state(self, batch: int, capacity: int) -> RecurrentState:
        """Zeros."""
        recent = (len(self.conv), self.conv.shape[1] - 1)
        return RecurrentState(batch, recent, (self.n_heads, self.d_state, self._d_value), self.out.weight)

    def state_bytes(self, context: int) -> int:
        """The memories, in float32 at least, and what the convolution still reads."""
        item = self.out.weight.element_size()
        return max(item, 4) * self.widths[0] * self.d_state + item * len(self.conv) * (self.conv.shape[1] - 1)

    def flops(self, work: Work) -> float:
        """Projections, convolution, and of each feature and position two products with its state."""
        weights = sum(weight.numel() for weight in (self.inputs.weight, self.conv, self.out.weight))
        return (2 * weights + 4 * self.widths[0] * self.d_state) * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """The projections, five in one and one; the rest scales single features and heads."""
        yield from linear(self.inputs, fused=self.widths)
        for each in (self.conv, self.conv_bias, self.log_rate, self.dt_offset, self.direct, self.gain):
            if each is not None:
                yield vector(each)
        yield from linear(self.out)

    def init_weights(self, init: Init) -> None:
        """Matrices like any other; the convolution as in torch, rates even and steps over magnitudes."""
        for weight, name in zip(
            self.inputs.weight.split(self.widths), ("gate", "input", "key", "query", "step"), strict=True
        ):
            init.normal(weight, name)
        init.uniform(self.conv, "conv", 1 / math.sqrt(self.conv.shape[1]))
        init.between(self.log_rate, "rate", *RATES)
        init.between(self.dt_offset, "step_offset", *(math.log(step) for step in STEPS))
        with torch.no_grad():
            self.log_rate.log_()
            self.dt_offset.exp_().expm1_().log_()  # softplus gives the step back
        init.residual(self.out.weight, "out")
        for bias in (self.inputs.bias, self.conv_bias, self.out.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    @property
    def _d_value(self) -> int:
        """Features of a head."""
        return self.widths[0] // self.n_heads

    def _read(
        self, x: Float[Tensor, "batch new d_model"], state: RecurrentState, places: Following | None
    ) -> Float[Tensor, "batch new d_model"]:
        """What is read from the state, which takes up the positions that are no padding."""
        z, mixed, step = self.inputs(x).split((self.widths[0], len(self.conv), self.n_heads), dim=-1)
        values, k, q = self._convolved(mixed, state, places)
        step = F.softplus(step.to(values.dtype).transpose(1, 2) + self.dt_offset[:, None])
        if places is not None:
            step = step * places.is_valid.unsqueeze(1)  # padding takes up nothing and forgets nothing
        rule: Callable[..., tuple[Tensor, Tensor]] = recurrent if x.shape[1] == 1 else chunked
        log_kept = -self.log_rate.exp()[:, None] * step
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            read, state.memory = rule(q, k, values * step.unsqueeze(-1), log_kept, state.memory)
        read = (read + self.direct[:, None, None] * values).transpose(1, 2).flatten(2) * F.silu(z.to(read.dtype))
        return self.dropout(self.out(F.rms_norm(read, self.gain.shape, self.gain.to(read.dtype), EPS).to(z.dtype)))

    def _convolved(self, mixed: Tensor, state: RecurrentState, places: Following | None) -> tuple[Tensor, ...]:
        """Inputs by head, and keys and queries of all heads; in float32 at least."""
        features = state.followed_by(mixed, places)
        convolved = F.conv1d(features, self.conv.unsqueeze(1), self.conv_bias, groups=len(self.conv))
        values, k, q = F.silu(convolved).to(state.memory.dtype).split(self.widths[1:4], dim=1)
        return values.unflatten(1, (self.n_heads, -1)).transpose(2, 3), *(x.mT.unsqueeze(1) for x in (k, q))
