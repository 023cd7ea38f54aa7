"""Rotary position embedding."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import BiasesNothing, EmbedsNothing, NoParameters, Position
from algoprog.model.interface.places import Places
from algoprog.model.interface.site import Site
from algoprog.model.rotation import SCALINGS, Tables, rotary_tables, rotated, stretched_tables


class RotaryPosition(NoParameters, EmbedsNothing, BiasesNothing, Position):
    """Rotates pairs of features of queries and keys by an angle proportional to the position.

    Args:
        site: where it stands; the model's `d_head` must be even.
        theta: base of the geometric series of wavelengths.
        fraction: of a head's features that are turned, the first ones, in whole pairs; the others know no position.
        scaling: of sequences beyond the model's context, which are evaluated and never trained on: `none`, `linear`
            (position interpolation), `ntk` or `yarn`, each by the ratio of their length to the context. Within the
            context it changes nothing.

    Raises:
        ValueError: the heads have an odd width, the base is not positive, no pair is turned, or the scaling is none.

    Source: Su et al. 2021 (arXiv 2104.09864), section 3.4; the halves of a head are paired, and the fraction is taken,
        as in GPT-NeoX (Black et al. 2022, arXiv 2204.06745, section 2.1).
    """

    wide: ClassVar[tuple[str, ...]] = ("cos", "sin")

    cos: Tensor
    sin: Tensor

    def __init__(self, site: Site, *, theta: float, fraction: float, scaling: str) -> None:
        super().__init__(site)
        dims = site.dims
        if dims.d_head % 2:
            raise ValueError(
                f"pos=rope needs heads of even width, but model.d_model={dims.d_model} over"
                f" model.n_heads={dims.n_heads} gives {dims.d_head}: change one of the two"
            )
        _check(theta, fraction, scaling)
        self.width, self.theta, self.scaling = 2 * max(1, round(fraction * dims.d_head / 2)), theta, scaling
        cos, sin = rotary_tables(self.width, dims.seq_len, theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def rotate(
        self, q: Float[Tensor, "batch heads new d_head"], k: Float[Tensor, "batch kv_heads new d_head"], places: Places
    ) -> tuple[Float[Tensor, "batch heads new d_head"], Float[Tensor, "batch kv_heads new d_head"]]:
        """Turn each by its position."""
        cos, sin = (places.rows(table).unsqueeze(-3) for table in self._tables(places.reach))
        return self._turned(q, cos, sin), self._turned(k, cos, sin)

    def _tables(self, reach: int) -> Tables:
        """Those of the context, or of as many positions as sequences beyond it may come to."""
        trained = self.site.dims.seq_len
        if reach <= trained:
            return self.cos, self.sin
        cos, sin = stretched_tables(self.scaling, self.width, self.theta, trained, reach)
        return cos.to(self.cos.device), sin.to(self.sin.device)

    def _turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The first features turned, the others as they are."""
        if self.width == x.shape[-1]:
            return rotated(x, cos, sin)
        return torch.cat((rotated(x[..., : self.width], cos, sin), x[..., self.width :]), dim=-1)


def _check(theta: float, fraction: float, scaling: str) -> None:
    if theta <= 0:
        raise ValueError(f"pos=rope: pos.theta={theta} must be above 0")
    if not 0 < fraction <= 1:
        raise ValueError(f"pos=rope: pos.fraction={fraction} must be above 0 and at most 1")
    if scaling not in SCALINGS:
        raise ValueError(f"pos=rope: pos.scaling={scaling} must be {', '.join(SCALINGS[:-1])} or {SCALINGS[-1]}")
    if scaling == "yarn" and theta <= 1:
        raise ValueError(
            f"pos=rope: pos.scaling=yarn asks how often wavelengths fit: pos.theta={theta} must be above 1"
        )
