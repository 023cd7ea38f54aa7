"""The noise floor in words: which gains cannot be told from none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from algoprog.report.summary import SHOWN_ESTIMATORS, Group
from algoprog.report.words.naming import ratio

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.noise_floor import NoiseFloor

_FEW = 5
_SILENT = math.log(1.001)


def floor_sentences(
    groups: Sequence[Group], floors: Mapping[str, NoiseFloor], *, cost: str, confidence: float
) -> dict[str, str]:
    """A sentence for the label of every model that has A/A pairs; `floors` is keyed by the groups' labels."""
    return {
        group.label: _sentence(floors[group.label], group, _n_seeds(group, cost), confidence)
        for group in groups
        if group.label in floors
    }


def floor_range(floor: NoiseFloor, group: Group, cost: str, confidence: float) -> tuple[float, float]:
    """The gains that cannot be told from 1."""
    high = floor.factor(_n_seeds(group, cost), confidence)
    return 1 / high, high


def _sentence(floor: NoiseFloor, group: Group, n_seeds: int, confidence: float) -> str:
    pairs = f"{floor.pairs} A/A pair" + ("s" if floor.pairs > 1 else "")
    if floor.log_sd < _SILENT:
        return f"{pairs} (runs whose true gain is 1) scored the same to 0.1 %, so this model shows no noise floor."
    high = floor.factor(n_seeds, confidence)
    scored = "scored" if floor.pairs == 1 else "typically scored"
    text = (
        f"{pairs} (runs whose true gain is 1) {scored} {_percent(floor.log_sd)} away from 1. A gain between "
        f"{ratio(1 / high)} and {ratio(high)} over {n_seeds} seed{'s' if n_seeds > 1 else ''} cannot be told from 1"
    )
    return f"{text}{_why(floor, n_seeds, confidence)}"


def _why(floor: NoiseFloor, n_seeds: int, confidence: float) -> str:
    """Why the range is much wider than the scatter that was seen, where it is."""
    if floor.degrees >= _FEW:
        return "."
    return (
        f": {'one pair does' if floor.pairs == 1 else 'so few do'} not show how far noise can go, so the range is "
        f"{math.log(floor.factor(n_seeds, confidence)) / floor.log_sd:.1f} times that. More seeds narrow it."
    )


def _percent(log_sd: float) -> str:
    return f"{100 * math.expm1(log_sd):.2g} %"


def _n_seeds(group: Group, cost: str) -> int:
    """Seeds that the group's gains are averages of."""
    gains = [arm.gain(SHOWN_ESTIMATORS[0], cost) for arm in group.arms if arm.variant != group.baseline]
    return max((gain.n_seeds for gain in gains if gain), default=1) or 1
