"""The authors' estimator gives all 14 CEGs of Table 3 from curves that cross where the authors' did."""

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.paper import Paper
from algoprog.ceg.gains import compute_gains

EVALUATIONS = 101
TABLE_3 = [  # model, variant, CEG, kind, crossings of the baseline and the variant (evaluations, counted from 1)
    ("compact", "mqa", "0.673", "auxiliary", 68, 101),
    ("compact", "sparse", "0.515", "auxiliary", 52, 101),
    ("compact", "none", "1.000", "primary", 101, 101),
    ("compact", "flash", "1.063", "primary", 101, 95),
    ("compact", "ln", "1.836", "primary", 101, 55),
    ("compact", "rope", "1.870", "primary", 101, 54),
    ("compact", "ln+rope+flash", "3.483", "primary", 101, 29),
    ("full", "mqa", "0.931", "primary", 27, 29),
    ("full", "sparse", "0.964", "primary", 27, 28),
    ("full", "none", "1.000", "primary", 27, 27),
    ("full", "flash", "1.000", "primary", 27, 27),
    ("full", "ln", "1.421", "primary", 27, 19),
    ("full", "rope", "1.350", "primary", 27, 20),
    ("full", "ln+rope+flash", "1.800", "primary", 27, 15),
]


def unsmooth(smoothed: np.ndarray, window: int = 8) -> np.ndarray:
    """The losses whose trailing mean is `smoothed`."""
    losses = np.empty_like(smoothed)
    for i, mean in enumerate(smoothed):
        count = min(i + 1, window)
        losses[i] = mean * count - losses[i + 1 - count : i].sum()
    return losses


def curve(model: str, variant: str, smoothed: np.ndarray) -> Curve:
    steps = 500.0 * np.arange(EVALUATIONS)
    return Curve(variant, model, 0, unsmooth(smoothed), {"steps": steps})


def falling(target: float, crossing: int) -> np.ndarray:
    """Smoothed losses that first reach the target at an evaluation, counted from 1."""
    return target + 0.002 * (crossing - 1.5 - np.arange(EVALUATIONS))


def baseline(model: str) -> np.ndarray:
    if model == "compact":
        return 3.8 + 0.002 * (EVALUATIONS - 1 - np.arange(EVALUATIONS))
    index = np.arange(EVALUATIONS)
    fall, rise = 3.653 + 0.004 * (25.5 - index), 3.653 + 0.001 * (index - 100)
    return np.maximum(fall, rise)  # overfits, so that it passes its own last loss at evaluation 27


def arm(model: str, variant: str, kind: str, base_crossing: int, crossing: int) -> np.ndarray:
    base = baseline(model)
    if variant == "none":
        return base
    if kind == "primary":
        return falling(base[-1], crossing)
    lowest = (base[base_crossing - 1] + base[base_crossing - 2]) / 2  # the baseline gets there at base_crossing
    return falling(lowest + 0.001, crossing)  # its last value is `lowest`


@pytest.mark.parametrize(("model", "variant", "ceg", "kind", "base_crossing", "crossing"), TABLE_3)
def test_table_3(model, variant, ceg, kind, base_crossing, crossing):
    curves = [curve(model, "none", baseline(model))]
    if variant != "none":
        curves.append(curve(model, variant, arm(model, variant, kind, base_crossing, crossing)))
    rows = compute_gains(curves, estimators=["paper"], costs=["steps"])
    row = next(row for row in rows if row.variant == variant and row.kind == kind)
    assert f"{row.ceg:.3f}" == ceg
    assert "resampled" not in row.flags


def test_full_scale_baseline_is_flagged_as_rising():
    rows = compute_gains([curve("full", "none", baseline("full"))], estimators=["paper"], costs=["steps"])
    assert "rising" in rows[0].flags


def test_shift_moves_the_variant_up():
    base = curve("compact", "none", baseline("compact"))
    variant = curve("compact", "rope", falling(3.8, 54))
    plain, shifted = (Paper(shift=shift)(base, variant, "steps", "final") for shift in (0.0, 0.02))
    assert np.exp(plain.log_gain) == pytest.approx(101 / 54)
    assert np.exp(shifted.log_gain) == pytest.approx(101 / 64)


def test_window_and_index_base_are_options():
    base = curve("compact", "none", baseline("compact"))
    variant = curve("compact", "ln", falling(3.8, 55))
    assert np.exp(Paper(index_base=0)(base, variant, "steps", "final").log_gain) == pytest.approx(100 / 54)


def test_other_axes_are_steps_times_the_price_of_a_step():
    base = curve("compact", "none", baseline("compact"))
    variant = curve("compact", "ln", falling(3.8, 55))
    priced = [
        Curve(c.variant, c.model, 0, c.val_loss, {"steps": c.costs["steps"], "flops": price * c.costs["steps"]})
        for c, price in ((base, 3.0), (variant, 2.0))
    ]
    assert np.exp(Paper()(*priced, "flops", "final").log_gain) == pytest.approx(101 / 55 * 1.5)


def test_uneven_evaluations_are_resampled_and_flagged():
    steps = np.unique(np.concatenate([np.geomspace(20, 50_000, 60).round(), np.linspace(0, 50_000, 60).round()]))
    loss = 6.0 - 0.2 * np.log(steps + 200.0)
    base = Curve("none", "compact", 0, loss, {"steps": steps})
    variant = Curve("ln", "compact", 0, 6.0 - 0.2 * np.log(2 * steps + 200.0), {"steps": steps})
    estimate = Paper()(base, variant, "steps", "final")
    assert "resampled" in estimate.flags
    assert np.exp(estimate.log_gain) == pytest.approx(1.91, abs=0.03)  # the compression science.md reports for a true 2
