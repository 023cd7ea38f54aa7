"""Curves that no estimator can make sense of: every one answers or leaves the numbers out, none warns or crashes."""

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.gains import ESTIMATORS, compute_gains
from algoprog.ceg.write import gains_json

STEPS = np.array([0.0, 1, 2, 4, 8, 16, 30, 60])
FALLING = [10.8, 10, 9.5, 9, 8.5, 8, 7.5, 7]


def curve(variant: str, losses: list[float]) -> Curve:
    return Curve(variant, "m", 0, np.array(losses, float), {"steps": STEPS[: len(losses)]})


@pytest.mark.parametrize(
    ("base", "arm"),
    [
        (FALLING, [10.8, 10, 9.4, 8.8, 8.2, 7.7, 7.2, 6.8]),
        ([10.8] * 8, [10.8] * 8),
        ([10.8, 10.7, 10.75, 10.8, 10.85, 10.9, 10.95, 11], [10.8, 10.9, 11, 11.1, 11.2, 11.3, 11.4, 11.5]),
        (FALLING, [10.8, 12, 14, 20, 30, 40, 50, 60]),
        (FALLING, [3, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3]),
        (FALLING, [10.8, 10, np.nan, np.nan]),
        (FALLING, FALLING[:5]),
        ([0.0] * 8, [0.0] * 8),
    ],
    ids=["smoke", "flat", "rising", "exploding", "below-at-once", "diverged", "short", "zero"],
)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_survives(estimator, base, arm):
    rows = compute_gains([curve("none", base), curve("arm", arm)], estimators=(estimator,), costs=("steps",))
    assert {row.variant for row in rows} == {"none", "arm"}
    assert gains_json(rows)
    for row in rows:
        if row.ci_low is not None and row.ci_high is not None:
            assert row.ci_low <= row.ceg <= row.ci_high


def test_a_spike_is_flagged_and_a_smooth_curve_is_not():
    steps = np.unique(np.geomspace(4, 400, 30).round())
    losses = 2 + 9 * steps**-0.25

    def gain(arm_losses):
        curves = [
            Curve("none", "m", 0, losses, {"steps": steps}),
            Curve("arm", "m", 0, arm_losses, {"steps": steps}),
        ]
        rows = compute_gains(curves, estimators=("iso_loss",), costs=("steps",))
        return next(row for row in rows if row.variant == "arm")

    assert "poor-fit" not in gain(2 + 9 * (1.5 * steps) ** -0.25).flags
    spiked = 2 + 9 * (1.5 * steps) ** -0.25
    spiked[20] += 1.5
    assert "poor-fit" in gain(spiked).flags
