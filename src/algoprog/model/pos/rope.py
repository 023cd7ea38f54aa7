"""Rotary position embedding."""

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import BiasesNothing, EmbedsNothing, NoParameters, Position
from algoprog.model.interface.places import Places
from algoprog.model.interface.site import Site
from algoprog.model.rotation import rotary_tables, rotated


class RotaryPosition(NoParameters, EmbedsNothing, BiasesNothing, Position):
    """Rotates pairs of features of queries and keys by an angle proportional to the position.

    Args:
        site: where it stands; the model's `d_head` must be even.
        theta: base of the geometric series of wavelengths.
        fraction: of a head's features that are turned, the first ones, in whole pairs; the others know no position.

    Raises:
        ValueError: the heads have an odd width, the base is not positive, or no pair is turned.

    Source: Su et al. 2021 (arXiv 2104.09864), section 3.4; the halves of a head are paired, and the fraction is taken,
        as in GPT-NeoX (Black et al. 2022, arXiv 2204.06745, section 2.1).
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, site: Site, *, theta: float, fraction: float) -> None:
        super().__init__(site)
        dims = site.dims
        if dims.d_head % 2:
            raise ValueError(
                f"pos=rope needs heads of even width, but model.d_model={dims.d_model} over"
                f" model.n_heads={dims.n_heads} gives {dims.d_head}: change one of the two"
            )
        if theta <= 0:
            raise ValueError(f"pos=rope: pos.theta={theta} must be above 0")
        if not 0 < fraction <= 1:
            raise ValueError(f"pos=rope: pos.fraction={fraction} must be above 0 and at most 1")
        self.width = 2 * max(1, round(fraction * dims.d_head / 2))
        cos, sin = rotary_tables(self.width, dims.seq_len, theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def rotate(
        self, q: Float[Tensor, "batch heads new d_head"], k: Float[Tensor, "batch kv_heads new d_head"], places: Places
    ) -> tuple[Float[Tensor, "batch heads new d_head"], Float[Tensor, "batch kv_heads new d_head"]]:
        """Turn each by its position."""
        cos, sin = (places.rows(table).unsqueeze(-3) for table in (self.cos, self.sin))
        return self._turned(q, cos, sin), self._turned(k, cos, sin)

    def _turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The first features turned, the others as they are."""
        if self.width == x.shape[-1]:
            return rotated(x, cos, sin)
        return torch.cat((rotated(x[..., : self.width], cos, sin), x[..., self.width :]), dim=-1)
