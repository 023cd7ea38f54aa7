"""The time mix of RWKV-7 in the place of attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.part import NoFacts, NoStatistics
from algoprog.model.interface.places import Following
from algoprog.model.interface.roles import Declared, matrix, vector
from algoprog.model.interface.site import Parts, Site, Work
from algoprog.model.recurrence.diagonal_rule import chunked, recurrent
from algoprog.model.recurrence.low_rank import LowRank
from algoprog.model.recurrence.state import RecurrentState

FORGET = math.exp(-0.5)
"""The most that a row of the memory forgets in a position, as a logarithm."""

EPS = 1e-5
"""Added to the variance of a head, times its width, as by the authors."""

FIRST = "values of the first layer"
"""What the first layer carries to the others."""

SHIFTS = {"query": 0.2, "decay": 0.9, "key": 0.7, "value": 0.7, "rate": 0.9, "gate": 0.2}
"""What is read from a position and the one before it, with the power of a feature's number by which it begins."""

Stream = Float[Tensor, "batch new d_model"]


class Rwkv7(NoFacts, NoStatistics, Mixer):
    """A memory by head whose rows forget each by itself, and in which what is recalled for a key is moved.

    All that is read from a position is read from a mixture of it with the one before, of every feature by itself.
    Queries, keys and values are read by whole matrices; how much each row keeps, how far each feature of a key is
    corrected, how much of the first layer's values is mixed in, and a gate by pairs of narrow ones. What is recalled is
    normalised by head, and what the position says itself is added. Whole sequences and prompts are computed in chunks,
    single positions by the recurrence. No matrix has a bias. The channel mix is an MLP, which the axis `mlp` chooses.

    Its FLOPs are those of the recurrence; chunks multiply more, as attention does whose masked half is computed.

    Args:
        site: where it stands; there are as many heads as `dims.n_heads`.
        parts: of its layer; it needs none.
        decay_rank: width between the two matrices from which the decay is read, over model width.
        rate_rank: width between those of how far keys are corrected, over model width.
        value_rank: of how much of the first layer's values is taken.
        gate_rank: of the gate.

    Raises:
        ValueError: a rank is no share.

    Source: Peng et al. 2025 (arXiv 2503.14456), section 4, time mixing; offsets and shares begin as in the authors'
        code, matrices by the axis `init`. With the ranks as they stand, those of the paper at width 2048.
    """

    without: ClassVar[Mapping[str, str]] = {
        "attention": "which looks at no keys of earlier positions",
        "pos": "whose recurrence knows the order",
        **dict.fromkeys(("kernel", "sinks", "softcap"), "which has no softmax"),
        "qk_norm": "whose keys have length 1 by definition",
        "output_gate": "which has a gate of its own",
    }

    def __init__(
        self, site: Site, parts: Parts, *, decay_rank: float, rate_rank: float, value_rank: float, gate_rank: float
    ) -> None:
        super().__init__(site)
        dims = site.dims
        assert site.layer is not None
        self.n_heads, self.d_head, width = dims.n_heads, dims.d_head, dims.d_model
        ranks = {
            name: _rank(name, share, width)
            for name, share in (
                ("decay_rank", decay_rank),
                ("rate_rank", rate_rank),
                ("value_rank", value_rank),
                ("gate_rank", gate_rank),
            )
        }
        depth, even = site.layer / max(1, site.n_layers - 1), torch.linspace(-0.5, 0.5, width)
        self.shifts = nn.Parameter(_shifts(width, 1 - site.layer / site.n_layers))
        self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.decay = LowRank(width, ranks["decay_rank"], torch.tanh, _decays(depth, self.n_heads, self.d_head))
        curve = _curve(self.d_head).repeat(self.n_heads)
        self.rate = LowRank(width, ranks["rate_rank"], nn.Identity(), 0.3 * curve + 0.4 * even - 0.19)
        self.first = (
            LowRank(width, ranks["value_rank"], nn.Identity(), 0.73 - 0.4 * even) if site.layer else None
        )  # the first layer's values are its own
        self.gate = LowRank(width, ranks["gate_rank"], torch.sigmoid, None)
        self.removed = nn.Parameter(0.71 - 0.1 * even)
        self.replaced = nn.Parameter(torch.full((width,), 1.02))
        self.bonus = nn.Parameter(torch.full((width,), -0.04))
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if dims.bias else None
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream, in chunks."""
        return self._recalled(x, context, self.new_state(len(x), 0), None)

    def step(self, x: Stream, context: Context, state: RecurrentState) -> Stream:
        """The update for positions behind those of the state, by the recurrence where it is one."""
        assert isinstance(context.places, Following)
        if not context.places.new:
            return x  # of no position, as attention gives
        return self._recalled(x, context, state, context.places)

    def new_state(self, batch: int, capacity: int) -> RecurrentState:
        """Zeros."""
        memory = (self.n_heads, self.d_head, self.d_head)
        return RecurrentState(batch, (self.site.width, 1), memory, self.out.weight)

    def state_bytes(self, context: int) -> int:
        """The memories, in float32 at least, and the last input."""
        item = self.out.weight.element_size()
        return max(item, 4) * self.site.width * self.d_head + item * self.site.width

    def flops(self, work: Work) -> float:
        """All matrices, and of each head and position four products with its memory."""
        weights = sum(weight.numel() for weight in self._matrices.values())
        return (2 * weights + 8 * self.n_heads * self.d_head**2) * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """Matrices, wide and narrow; the rest scales or moves single features."""
        matrices = {id(each) for each in self._matrices.values()}
        for own in self.parameters():
            yield matrix(own) if id(own) in matrices else vector(own)

    def init_weights(self, init: Init) -> None:
        """Matrices like any other; `out` writes the residual stream."""
        for name, weight in self._matrices.items():
            (init.residual if name == "out.weight" else init.normal)(weight, name.removesuffix(".weight"))

    @property
    def _matrices(self) -> dict[str, nn.Parameter]:
        """Those that are multiplied, by name."""
        return {name: own for name, own in self.named_parameters() if name.endswith((".weight", ".down", ".up"))}

    def _recalled(self, x: Stream, context: Context, state: RecurrentState, places: Following | None) -> Stream:
        """What is read from the state, which takes up the positions that are no padding."""
        before = state.followed_by(x, places)[..., :-1].transpose(1, 2)
        inputs = dict(zip(SHIFTS, (x + (before - x) * share for share in self.shifts), strict=True))
        gate, value = self.gate(inputs["gate"]), self._value(inputs["value"], context)
        rate = self.rate(inputs["rate"]).to(state.memory.dtype).sigmoid()
        log_kept = -FORGET * self.decay(inputs["decay"]).to(rate.dtype).sigmoid()
        key = self.k(inputs["key"]).to(rate.dtype)
        q, v = (self._heads(part.to(rate.dtype)) for part in (self.q(inputs["query"]), value))
        removed = F.normalize(self._heads(key * self.removed), dim=-1)
        k = self._heads(key * (1 + (rate - 1) * self.replaced))
        a, b, log_kept = -removed, removed * self._heads(rate), self._heads(log_kept)
        if places is not None:  # padding adds nothing, moves nothing and forgets nothing
            k, b, log_kept = (part * places.is_valid[:, None, :, None] for part in (k, b, log_kept))
        rule: Callable[..., tuple[Tensor, Tensor]] = recurrent if x.shape[1] == 1 else chunked
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            read, state.memory = rule(q, k, v, a, b, log_kept, state.memory)
        own = (q * k * self.bonus.unflatten(0, (self.n_heads, 1, -1))).sum(dim=-1, keepdim=True) * v
        mixed = self._normed(read) + own.transpose(1, 2).flatten(2)
        return self.dropout(self.out(gate * mixed.to(gate.dtype)))

    def _value(self, inputs: Stream, context: Context) -> Stream:
        """Those of this position, moved towards those of the first layer."""
        value = self.v(inputs)
        if self.first is None:
            context.carried[FIRST] = value
            return value
        return value + (context.carried[FIRST] - value) * self.first(inputs).sigmoid()

    def _normed(self, read: Float[Tensor, "batch heads new d_head"]) -> Stream:
        """Of every head zero mean and unit variance, then a gain and a bias of every feature."""
        normed = F.layer_norm(read, read.shape[-1:], eps=EPS * self.d_head).transpose(1, 2).flatten(2) * self.gain
        return normed if self.bias is None else normed + self.bias

    def _heads(self, x: Stream) -> Float[Tensor, "batch heads new d_head"]:
        """Cut the last dimension into heads and move them before the sequence."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


def _rank(knob: str, share: float, width: int) -> int:
    """Features between two narrow matrices: at least one."""
    if not 0 < share <= 1:
        raise ValueError(f"mixer=rwkv7: mixer.{knob}={share} must be above 0 and at most 1")
    return math.ceil(share * width)


def _shifts(width: int, rest: float) -> Float[Tensor, "inputs d_model"]:
    """How much of the position before is read at first: less the later the feature and the deeper the layer."""
    at = torch.arange(width) / width
    return torch.stack([1 - at ** (power * rest) for power in SHIFTS.values()])


def _curve(d_head: int) -> Float[Tensor, " d_head"]:
    """From -1 to 1 over the features of a head, flat in the middle."""
    even = torch.linspace(-1, 1, d_head) if d_head > 1 else torch.zeros(1)
    return even * even.abs()


def _decays(depth: float, n_heads: int, d_head: int) -> Float[Tensor, " d_model"]:
    """Offsets of the decay: from rows that keep nearly all to such that forget, over all heads and within each."""
    even = torch.linspace(0, 1, n_heads * d_head)
    return -5.5 + 6 * even ** (1 + depth**0.3) + 2.5 * _curve(d_head).repeat(n_heads)
