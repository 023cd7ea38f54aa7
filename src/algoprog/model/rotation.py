"""Turning pairs of features by an angle that is proportional to the position."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

SCALINGS = ("none", "linear", "ntk", "yarn")
"""What may be done about positions behind those that a model has seen in training."""

YARN_TURNS = (32, 1)
"""Turns within the trained context: with as many, wavelengths stay as they are; with fewer, they grow (Peng et al.)."""

Tables = tuple[Float[Tensor, "seq width"], Float[Tensor, "seq width"]]


def rotary_tables(width: int, seq_len: int, theta: float) -> Tables:
    """Cosine and sine of every position and feature, in float32 from float64.

    Args:
        width: features that are turned; even.
        seq_len: positions.
        theta: base of the geometric series of wavelengths.

    Source: Su et al. 2021 (arXiv 2104.09864), section 3.4; the halves of a head are paired as in GPT-NeoX.
    """
    return _tables(_frequencies(width, theta), seq_len)


def stretched_tables(scaling: str, width: int, theta: float, trained: int, length: int) -> Tables:
    """Cosine and sine of every position of sequences that are longer than those of training.

    - `none`: the series goes on.
    - `linear`: positions are divided by how many times as long they are.
    - `ntk`: the base grows so that the longest wavelength is as many times as long, and the shortest as it was.
    - `yarn`: wavelengths that fit into the trained context often stay, those that do not are divided as under
      `linear`, and the tables are multiplied by 0.1 ln(ratio) + 1, which sharpens attention.

    Args:
        scaling: one of these.
        width: features that are turned; even.
        theta: base of the geometric series of wavelengths.
        trained: positions of a sequence in training.
        length: positions of one now; more.

    Source: Chen et al. 2023 (arXiv 2306.15595), equation 4; bloc97 2023, "NTK-aware scaled RoPE"; Peng et al. 2023
        (YaRN, arXiv 2309.00071), section 3; as transformers has them, with the ratio of lengths as factor.
    """
    ratio, frequency = length / trained, _frequencies(width, theta)
    if scaling == "linear":
        return _tables(frequency / ratio, length)
    if scaling == "ntk" and width > 2:
        return _tables(_frequencies(width, theta * ratio ** (width / (width - 2))), length)
    if scaling == "yarn":
        kept = _kept_by_yarn(width, theta, trained)
        cos, sin = _tables(frequency * (kept + (1 - kept) / ratio), length)
        return (0.1 * math.log(ratio) + 1) * cos, (0.1 * math.log(ratio) + 1) * sin
    return _tables(frequency, length)


def rotated(
    x: Float[Tensor, "batch heads new width"], cos: Float[Tensor, "*rows width"], sin: Float[Tensor, "*rows width"]
) -> Float[Tensor, "batch heads new width"]:
    """The features turned, where the tables have been cut to the positions."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # bf16 could not tell neighbouring positions apart
    first, second = wide.chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


def _frequencies(width: int, theta: float) -> Float64[Tensor, " pairs"]:
    """Angle from one position to the next of every pair of features."""
    return theta ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)


def _tables(frequency: Float64[Tensor, " pairs"], seq_len: int) -> Tables:
    angle = torch.arange(seq_len, dtype=torch.float64)[:, None] * frequency
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos().float(), angle.sin().float()


def _kept_by_yarn(width: int, theta: float, trained: int) -> Float64[Tensor, " pairs"]:
    """How much of every frequency stays: 1 of the fast ones, 0 of the slow ones, a ramp between."""
    fast, slow = (width * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(theta)) for turns in YARN_TURNS)
    first, last = max(math.floor(fast), 0), min(math.ceil(slow), width - 1)
    last_or_next = last if last != first else first + 0.001  # a step in the place of a ramp
    ramp = (torch.arange(width // 2, dtype=torch.float64) - first) / (last_or_next - first)
    return 1 - ramp.clamp(0, 1)
