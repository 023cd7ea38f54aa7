"""A recurrence whose memory is corrected, not added to: a mixer of its own, and of layers between attention."""

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
from algoprog.model.recurrence.delta_rule import chunked, recurrent
from algoprog.model.recurrence.state import RecurrentState

EPS = 1e-6
"""Added to squared lengths and to mean squares before their root, as by Qwen3-Next."""

RATES, STEPS = (0.01, 16.0), (1e-3, 0.1)
"""Between which rate and step of a head begin; their product is the logarithm of what it forgets in a position."""


class GatedDelta(NoFacts, NoStatistics, Mixer):
    """A memory by head that maps keys to values, read by queries: it forgets a share, then corrects what it recalls.

    Queries, keys and values go through a short convolution over their own past and a SiLU; queries and keys have
    length 1. How much is kept and how far is corrected are read from the input. What is recalled is normalised by
    head, and gated. Whole sequences and prompts are computed in chunks, single positions by the recurrence.

    Its FLOPs are those of the recurrence and of the convolution; chunks multiply more, as attention does whose
    masked half is computed.

    Args:
        site: where it stands; there are as many heads as `dims.n_heads`.
        key_width: width of a key over that of an attention head; with half of it, and values as wide as a head, the
            matrices are as large as those of dense attention.
        value_width: width of a value over that of an attention head.
        conv_width: positions that the convolution sees, its own the last.

    Raises:
        ValueError: a knob leaves no feature or no position.

    Source: Yang et al. 2024 (arXiv 2412.06464), with the initial forgetting of the authors' code; gate, norm and
        convolution as in Qwen3-Next.
    """

    def __init__(self, site: Site, *, key_width: float, value_width: float, conv_width: int) -> None:
        super().__init__(site)
        dims = site.dims
        self.n_heads = dims.n_heads
        self.d_key = width_of("key_width", key_width, dims.d_head)
        self.d_value = width_of("value_width", value_width, dims.d_head)
        if conv_width < 1:
            raise ValueError(f"mixer.conv_width={conv_width} must be at least 1")
        keys, values = self.n_heads * self.d_key, self.n_heads * self.d_value
        self.widths = (keys, keys, values, values)
        self.qkvz = nn.Linear(dims.d_model, sum(self.widths), bias=dims.bias)
        self.gates = nn.Linear(dims.d_model, 2 * self.n_heads, bias=False)
        self.conv = nn.Parameter(torch.empty(2 * keys + values, conv_width))
        self.log_rate = nn.Parameter(torch.empty(self.n_heads))
        self.dt_offset = nn.Parameter(torch.empty(self.n_heads))
        self.gain = nn.Parameter(torch.ones(self.d_value))
        self.out = nn.Linear(values, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream, in chunks."""
        return self._recalled(x, self.new_state(len(x), 0), None)

    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: RecurrentState
    ) -> Float[Tensor, "batch new d_model"]:
        """The update for positions behind those of the state, by the recurrence where it is one."""
        assert isinstance(context.places, Following)
        if not context.places.new:
            return x  # of no position, as attention gives
        return self._recalled(x, state, context.places)

    def new_state(self, batch: int, capacity: int) -> RecurrentState:
        """Zeros."""
        recent = (len(self.conv), self.conv.shape[1] - 1)
        return RecurrentState(batch, recent, (self.n_heads, self.d_key, self.d_value), self.out.weight)

    def state_bytes(self, context: int) -> int:
        """The memories, in float32 at least, and what the convolution still reads."""
        memory = self.n_heads * self.d_key * self.d_value
        item = self.out.weight.element_size()
        return max(item, 4) * memory + item * len(self.conv) * (self.conv.shape[1] - 1)

    def flops(self, work: Work) -> float:
        """Projections, convolution, and of each head and position three products with its memory."""
        weights = sum(weight.numel() for weight in (self.qkvz.weight, self.gates.weight, self.conv, self.out.weight))
        return (2 * weights + 6 * self.n_heads * self.d_key * self.d_value) * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """The projections, four in one and two in one; the rest scales single features and heads."""
        yield from linear(self.qkvz, fused=self.widths)
        yield from linear(self.gates, fused=(self.n_heads, self.n_heads))
        for each in (self.conv, self.log_rate, self.dt_offset, self.gain):
            yield vector(each)
        yield from linear(self.out)

    def init_weights(self, init: Init) -> None:
        """Matrices like any other; the convolution as in torch, rates and steps of forgetting over magnitudes."""
        for weight, name in zip(self.qkvz.weight.split(self.widths), ("q", "k", "v", "z"), strict=True):
            init.normal(weight, name)
        for weight, name in zip(self.gates.weight.split(self.n_heads), ("strength", "kept"), strict=True):
            init.normal(weight, name)
        init.uniform(self.conv, "conv", 1 / math.sqrt(self.conv.shape[1]))
        init.between(self.log_rate, "rate", *RATES)
        init.between(self.dt_offset, "step", *(math.log(step) for step in STEPS))
        with torch.no_grad():
            self.log_rate.log_()
            self.dt_offset.exp_().expm1_().log_()  # softplus gives the step back
        init.residual(self.out.weight, "out")
        for layer in (self.qkvz, self.out):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _recalled(
        self, x: Float[Tensor, "batch new d_model"], state: RecurrentState, places: Following | None
    ) -> Float[Tensor, "batch new d_model"]:
        """What is read from the state, which takes up the positions that are no padding."""
        mixed, z = self.qkvz(x).split((len(self.conv), self.widths[-1]), dim=-1)
        strength, log_kept = self._gates(x, places)
        q, k, v = self._convolved(mixed, state, places)
        rule: Callable[..., tuple[Tensor, Tensor]] = recurrent if x.shape[1] == 1 else chunked
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            read, state.memory = rule(_unit(q) / math.sqrt(self.d_key), _unit(k), v, log_kept, strength, state.memory)
        wide = torch.promote_types(read.dtype, self.gain.dtype)
        normed = F.rms_norm(read.to(wide), self.gain.shape, self.gain.to(wide), EPS).transpose(1, 2).flatten(2)
        return self.dropout(self.out(normed.to(z.dtype) * F.silu(z)))

    def _convolved(self, mixed: Tensor, state: RecurrentState, places: Following | None) -> Iterable[Tensor]:
        """Queries, keys and values by head, each feature a sum over its own last positions; in float32 at least."""
        features = state.followed_by(mixed, places)
        convolved = F.silu(F.conv1d(features, self.conv.unsqueeze(1), groups=len(self.conv))).to(state.memory.dtype)
        return (part.unflatten(1, (self.n_heads, -1)).transpose(2, 3) for part in convolved.split(self.widths[:3], 1))

    def _gates(
        self, x: Float[Tensor, "batch new d_model"], places: Following | None
    ) -> tuple[Float[Tensor, "batch heads new"], Float[Tensor, "batch heads new"]]:
        """How far each head corrects, and the logarithm of what it keeps; padding corrects nothing and keeps all."""
        wide = torch.promote_types(self.log_rate.dtype, torch.float32)
        strength, step = self.gates(x).to(wide).transpose(1, 2).chunk(2, dim=1)
        strength, log_kept = (
            strength.sigmoid(),
            -self.log_rate.exp()[:, None] * F.softplus(step + self.dt_offset[:, None]),
        )
        if places is None:
            return strength, log_kept
        valid = places.is_valid.unsqueeze(1)
        return strength * valid, log_kept * valid


def _unit(x: Float[Tensor, "batch heads new width"]) -> Float[Tensor, "batch heads new width"]:
    """Vectors of length 1, but for those of almost none."""
    return x * (x.square().sum(dim=-1, keepdim=True) + EPS).rsqrt()


def width_of(knob: str, share: float, d_head: int) -> int:
    """Features of a key or a value."""
    width = round(share * d_head)
    if width < 1:
        raise ValueError(f"mixer.{knob}={share} leaves no feature of heads of width {d_head}")
    return width
