"""Turning pairs of features by an angle that is proportional to the position."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def rotary_tables(
    width: int, seq_len: int, theta: float
) -> tuple[Float[Tensor, "seq width"], Float[Tensor, "seq width"]]:
    """Cosine and sine of every position and feature, in float32 from float64.

    Args:
        width: features that are turned; even.
        seq_len: positions.
        theta: base of the geometric series of wavelengths.

    Source: Su et al. 2021 (arXiv 2104.09864), section 3.4; the halves of a head are paired as in GPT-NeoX.
    """
    frequency = theta ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(seq_len, dtype=torch.float64)[:, None] * frequency
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotated(
    x: Float[Tensor, "batch heads new width"], cos: Float[Tensor, "*rows width"], sin: Float[Tensor, "*rows width"]
) -> Float[Tensor, "batch heads new width"]:
    """The features turned, where the tables have been cut to the positions."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # bf16 could not tell neighbouring positions apart
    first, second = wide.chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)
