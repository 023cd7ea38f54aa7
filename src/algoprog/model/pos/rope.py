"""Rotary position embedding."""

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import NoParameters, Position
from algoprog.model.interface.places import Places
from algoprog.model.interface.site import Site


class RotaryPosition(NoParameters, Position):
    """Rotates pairs of features of queries and keys by an angle proportional to the position.

    Args:
        site: where it stands; the model's `d_head` must be even.
        theta: base of the geometric series of wavelengths.

    Raises:
        ValueError: the heads have an odd width, or the base is not positive.

    Source: Su et al. 2021 (arXiv 2104.09864), section 3.4; the halves of a head are paired as in GPT-NeoX.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, site: Site, *, theta: float) -> None:
        super().__init__(site)
        dims = site.dims
        if dims.d_head % 2:
            raise ValueError(
                f"pos=rope needs heads of even width, but model.d_model={dims.d_model} over"
                f" model.n_heads={dims.n_heads} gives {dims.d_head}: change one of the two"
            )
        if theta <= 0:
            raise ValueError(f"pos=rope: pos.theta={theta} must be above 0")
        frequency = theta ** -(torch.arange(0, dims.d_head, 2, dtype=torch.float64) / dims.d_head)
        angle = torch.arange(dims.seq_len, dtype=torch.float64)[:, None] * frequency
        angle = torch.cat((angle, angle), dim=-1)
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)

    def embed(self, x: Float[Tensor, "batch new d_model"], places: Places) -> Float[Tensor, "batch new d_model"]:
        """Same tensor."""
        return x

    def rotate(
        self, q: Float[Tensor, "batch heads new d_head"], k: Float[Tensor, "batch kv_heads new d_head"], places: Places
    ) -> tuple[Float[Tensor, "batch heads new d_head"], Float[Tensor, "batch kv_heads new d_head"]]:
        """Turn each by its position."""
        cos, sin = (places.rows(table).unsqueeze(-3) for table in (self.cos, self.sin))
        return _turn(q, cos, sin), _turn(k, cos, sin)


def _turn(x: Float[Tensor, "batch heads new d_head"], cos: Tensor, sin: Tensor) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # bf16 could not tell neighbouring positions apart
    first, second = wide.chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)
