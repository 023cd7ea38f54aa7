"""iso_loss against the paper's estimator on curves with a known gain: a small part of `make ceg-accuracy`."""

import numpy as np
import pytest

from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.estimator.paper import Paper
from algoprog.ceg.simulate.curves import World

GAINS = (0.5, 0.7, 1.0, 1.5, 2.0, 4.0)
REPEATS = 40


def errors(world: World, gain: float) -> dict[str, np.ndarray]:
    rng, truth = np.random.default_rng(0), world.truth(gain)
    found = {"iso_loss": [], "paper": []}
    for _ in range(REPEATS):
        base, arm = world.curve(rng, 1.0, "none"), world.curve(rng, gain, "arm")
        for estimator in (IsoLoss(), Paper()):
            found[estimator.name].append(estimator(base, arm, "steps", "final").log_gain - truth)
    return {name: np.array(values) for name, values in found.items()}


def rmse(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize("noise", [0.003, 0.01, 0.02])
def test_iso_loss_is_unbiased_and_beats_the_paper(noise):
    table = [errors(World(noise=noise, told=True), gain) for gain in GAINS]
    ratios = [rmse(cell["iso_loss"]) / rmse(cell["paper"]) for cell in table]
    assert np.mean(ratios) <= 0.6
    assert max(ratios) <= 1.1
    for cell in table:
        error = cell["iso_loss"]
        monte_carlo = 2 * error.std() / np.sqrt(REPEATS)
        assert abs(error.mean()) <= 0.01 + monte_carlo
