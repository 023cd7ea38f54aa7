"""The scaling fits of Gundlach et al., and how far a gain moves when one exponent does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from algoprog.literature.equations import ceg
from algoprog.literature.rows import literature_rows, load


@dataclass(frozen=True)
class PublishedLaw:
    """Loss of the best model of a given compute: L = floor + a C^alpha, in nats per token and FLOPs."""

    name: str
    a: float
    alpha: float
    floor: float

    def loss(self, flops: float) -> float:
        """Loss at this compute."""
        return self.floor + float(self.a * flops**self.alpha)

    def flops(self, loss: float) -> float:
        """Compute needed for this loss.

        Raises:
            ValueError: no compute reaches a loss at or below the floor.
        """
        if loss <= self.floor:
            raise ValueError(f"{self.name} never reaches {loss} nats: name a loss above its floor of {self.floor}")
        return float(((loss - self.floor) / self.a) ** (1 / self.alpha))

    def hinged(self, shift: float, hinge_flops: float) -> PublishedLaw:
        """The law with its exponent changed by `shift`, and the same loss as before at `hinge_flops`."""
        return replace(self, alpha=self.alpha + shift, a=float(self.a * hinge_flops**-shift))


@dataclass(frozen=True)
class Extrapolation:
    """A gain far beyond the fitted data, and the same gain after a small change of the baseline's exponent."""

    flops: float
    shift: float
    hinge_flops: float
    gain: float
    shifted_gain: float  # the baseline's loss held at the hinge, where the data are
    shifted_gain_same_a: float  # its prefactor held instead, as if the hinge were at one FLOP
    caveat: str


def laws() -> dict[str, PublishedLaw]:
    """The three fits by name: lstm, transformer-2017, transformer-modern."""
    fits = _fits()
    return {law["name"]: PublishedLaw(floor=fits["floor"], **law) for law in fits["laws"]}


def extrapolated_gain(baseline: PublishedLaw, variant: PublishedLaw, flops: float) -> float:
    """CEG of the variant trained with `flops`: what the baseline would need for the same loss, over that."""
    return ceg(baseline.flops(variant.loss(flops)), flops)


def sensitivity() -> Extrapolation:
    """The gain of the modern transformer over the LSTM at the frontier, and after .005 more in the LSTM's exponent."""
    fits, law = _fits(), laws()
    lstm, modern = law["lstm"], law["transformer-modern"]
    flops, shift, hinge = fits["frontier_flops"], fits["shift"], fits["hinge_flops"]
    return Extrapolation(
        flops=flops,
        shift=shift,
        hinge_flops=hinge,
        gain=extrapolated_gain(lstm, modern, flops),
        shifted_gain=extrapolated_gain(lstm.hinged(-shift, hinge), modern, flops),
        shifted_gain_same_a=extrapolated_gain(lstm.hinged(-shift, 1.0), modern, flops),
        caveat=fits["caveat"],
    )


def product_and_joint() -> tuple[float, float]:
    """Product of the six single gains of Gundlach et al., and the gain of the six together.

    The chain sinusoidal, learned, rotary positions counts once, as rotary over sinusoidal.
    """
    gains = {row.advance: row.low.quoted for row in literature_rows(("gundlach",))}
    singles = (
        "Cosine over inverse square root",
        "RMSNorm over LayerNorm",
        "SwiGLU over GELU",
        "RoPE over sinusoidal",
        "Pre-norm over post-norm",
    )
    return math.prod(gains[name] for name in singles), gains["Six of these changes together"]


def _fits() -> dict[str, Any]:
    return dict(load("gundlach")["fits"])
