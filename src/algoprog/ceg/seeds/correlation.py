"""What pairing was worth: how much the losses of a seed move together in variant and baseline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.noise_floor import aa_variants
from algoprog.ceg.pairs.pairing import pair_up
from algoprog.runs.record import BASELINE

FEWEST = 3
"""Seeds that two runs share at least before anything is said of their correlation."""


def seed_correlations(curves: Sequence[Curve], baseline: str = BASELINE) -> dict[str, float]:
    """For each model the correlation of the last losses of variant and baseline over their paired seeds, pooled.

    Differences of paired seeds have 1 - r of the variance that differences of unpaired ones would have. A/A arms, which
    equal the baseline, and models whose variants share fewer than three seeds with the baseline are left out.

    Raises:
        ValueError: as `compute_gains`.
    """
    equal = {baseline, *aa_variants(curves, baseline)}
    sums: dict[str, list[tuple[float, float]]] = {}
    for group in pair_up(curves, baseline):
        if group.variant in equal or group.unpaired or len(group.pairs) < FEWEST:
            continue
        losses = np.array([[float(curve.val_loss[-1]) for curve in pair] for pair in group.pairs])
        covariance = np.cov(losses.T)
        together = float(covariance[0, 1]), float(np.sqrt(covariance[0, 0] * covariance[1, 1]))
        sums.setdefault(group.model, []).append(together)
    return {m: sum(t for t, _ in s) / total for m, s in sums.items() if (total := sum(apart for _, apart in s)) > 0}
