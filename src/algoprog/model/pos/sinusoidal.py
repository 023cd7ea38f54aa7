"""Fixed waves as absolute positions."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import BiasesNothing, NoParameters, Position, TurnsNothing
from algoprog.model.interface.places import Places
from algoprog.model.interface.site import Site


class SinusoidalPosition(NoParameters, TurnsNothing, BiasesNothing, Position):
    """Adds sine and cosine of the position, at wavelengths in a geometric series, to the token embedding.

    Sequences beyond the model's context have the waves that go on.

    Args:
        site: where it stands.
        theta: base of the series.
        scale: amplitude of the waves. Vaswani et al. add waves of amplitude 1 to embeddings that they multiply by
            sqrt(d_model), to a standard deviation of about 1; embeddings here begin at 0.02, and at a scale of 0.02 the
            two stand to each other as they do there.

    Raises:
        ValueError: a knob is not positive.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), sections 3.4 and 3.5.
    """

    table: Tensor

    def __init__(self, site: Site, *, theta: float, scale: float) -> None:
        super().__init__(site)
        for name, value in (("theta", theta), ("scale", scale)):
            if value <= 0:
                raise ValueError(f"pos=sinusoidal: pos.{name}={value} must be above 0")
        self.theta, self.scale = theta, scale
        self.register_buffer("table", self._waves(site.dims.seq_len), persistent=False)

    def embed(self, x: Float[Tensor, "batch new d_model"], places: Places) -> Float[Tensor, "batch new d_model"]:
        """Add the waves at each position."""
        table = self.table if places.reach <= len(self.table) else self._waves(places.reach).to(self.table)
        return x + places.rows(table)

    def _waves(self, length: int) -> Float[Tensor, "length d_model"]:
        width = self.site.dims.d_model
        frequency = self.theta ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
        angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
        waves = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :width]
        return (self.scale * waves).float()
