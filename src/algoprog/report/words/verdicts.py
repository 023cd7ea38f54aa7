"""One sentence a variant: what the sweep says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from algoprog.ceg.cost import COSTS, beside
from algoprog.ceg.gains import Gain
from algoprog.ceg.judge import MAYBE_CHANCE
from algoprog.ceg.ladder.scale import ScaleDependence
from algoprog.report.summary import SHOWN_ESTIMATORS, Arm, Group
from algoprog.report.words.naming import order_variants, ratio
from algoprog.report.words.scale import per_decade
from algoprog.report.words.words import bound_sign

_LEADS = {
    "helps": ("reaches", "the loss of {} at a lower cost"),
    "hurts": ("needs", "a higher cost than {} for the same loss"),
    "unclear": ("cannot", "be told from {}"),
    "mixed": ("does not", "act the same way at every model"),
    "diverged": ("diverged", "and has no gain"),
    "unmeasured": ("has", "no gain over {} that could be measured"),
}
_TRENDS = {
    "independent": "The gain is compute-independent",
    "dependent": "The gain is compute-dependent, it grows with scale",
    "inverse": "The gain shrinks with scale",
    "inconclusive": "Whether the gain depends on compute stays open",
}

SINGLE_SEED = "single-seed"
LADDER = 3
"""Models from which on a slope is stated in words: a line through two points always fits."""


@dataclass(frozen=True)
class Verdict:
    """`word` is helps, hurts, unclear, mixed, diverged or unmeasured; `tentative` where no spread of seeds is known."""

    variant: str
    word: str
    sentence: str
    tentative: bool


def verdicts(
    groups: Sequence[Group], scale: Sequence[ScaleDependence] = (), *, cost: str, confidence: float
) -> list[Verdict]:
    """A verdict for every variant but the baseline; execution-only variants are judged on seconds.

    `scale` holds slopes on any cost axes; those over three models or more are put into words.
    """
    names = order_variants(arm.variant for g in groups for arm in g.arms if arm.variant != g.baseline)
    return [_verdict(name, groups, scale, cost, confidence) for name in names]


def _verdict(
    variant: str, groups: Sequence[Group], scale: Sequence[ScaleDependence], cost: str, confidence: float
) -> Verdict:
    arms = [(group, arm) for group in groups if (arm := group.arm(variant))]
    clocked = any(arm.execution_only for _, arm in arms) and not COSTS[cost].measured
    axis = beside(cost) if clocked else cost
    found = [(group, gain) for group, arm in arms if (gain := _known(arm, axis))]
    word = _word([direction(gain) for _, gain in found], [arm for _, arm in arms])
    tentative = bool(found) and all(SINGLE_SEED in gain.flags for _, gain in found)
    verb, rest = _LEADS[word]
    lead = f"{verb} {rest.format(groups[0].baseline)}"
    values = ", ".join(_value(group.label, gain, i == 0, confidence) for i, (group, gain) in enumerate(found))
    detail = f": its CEG in {COSTS[axis].title} is {values}" if found else ""
    slope = next((row for row in scale if (row.variant, row.cost) == (variant, axis)), None)
    trend = _trend(slope, confidence) if slope and len(slope.models) >= LADDER else ""
    return Verdict(variant, word, f"{lead}{detail}.{trend}{_remark(found, arms)}", tentative)


def _trend(row: ScaleDependence, confidence: float) -> str:
    """Whether the gain changes with compute, and the paper's reading as an aside."""
    text = f" {_TRENDS[row.verdict]}: ten times the compute multiplies it by {per_decade(row.slope)}"
    if row.slope_low is not None and row.slope_high is not None:
        text += f" ({confidence:.0%} interval {per_decade(row.slope_low)} to {per_decade(row.slope_high)})"
    agrees = row.two_point == row.verdict
    return f"{text}; the paper's two-point rule {'too ' if agrees else ''}reads it as compute-{row.two_point}."


def direction(gain: Gain) -> str:
    """Whether a gain helps, hurts or is unclear: what is no finding is unclear, whatever its value."""
    if not gain.finding or gain.ceg is None:
        return "unclear"
    if gain.kind == "bound":
        return "hurts" if bound_sign(gain) == "<" else "helps"
    return "helps" if gain.ceg > 1 else "hurts"


def _known(arm: Arm, cost: str) -> Gain | None:
    gain = arm.gain(SHOWN_ESTIMATORS[0], cost)
    return gain if gain is not None and gain.ceg is not None else None


def _word(directions: Sequence[str], arms: Sequence[Arm]) -> str:
    if not directions:
        return "diverged" if any(arm.n_diverged for arm in arms) else "unmeasured"
    return directions[0] if len(set(directions)) == 1 else "mixed"


def _value(label: str, gain: Gain, first: bool, confidence: float) -> str:
    sign = {"<": "below ", ">": "above "}[bound_sign(gain)] if gain.kind == "bound" else ""
    interval = ""
    if gain.kind != "bound" and gain.ci_low is not None and gain.ci_high is not None:
        name = f"{confidence:.0%} interval " if first else ""
        interval = f" ({name}{ratio(gain.ci_low)} to {ratio(gain.ci_high)})"
    return f"{sign}{ratio(gain.ceg)}{interval} at {label}"


def _remark(found: Sequence[tuple[Group, Gain]], arms: Sequence[tuple[Group, Arm]]) -> str:
    """What a reader must know beside the values."""
    late = [group.label for group, gain in found if gain.kind != "primary"]
    text = f" It never reached the target at {', '.join(late)}: measured at its own lowest loss." if late else ""
    lost = [f"{gain.n_seeds} of {gain.n_seeds + gain.n_diverged} at {g.label}" for g, gain in found if gain.n_diverged]
    pooled = [g.label for g, gain in found if gain.finding and _own_interval_holds_one(gain)]
    if pooled:
        text += f" What its own seeds leave open at {', '.join(pooled)}, the spread pooled over the variants decides."
    chance = [(g.label, gain) for g, gain in found if MAYBE_CHANCE in gain.flags]
    if chance:
        odds = [f"{gain.p_value:.2g} at {label}" for label, gain in chance if gain.p_value is not None]
        by_chance = f" (p {', '.join(odds)})" if odds else ""
        text += f" Its interval excludes 1, but among all variants that were tried one may do so by chance{by_chance}."
    told = {g.label for g, gain in found if gain.n_diverged}
    broken = [group.label for group, arm in arms if arm.n_diverged and group.label not in told]
    text += f" The gain is that of the seeds that did not diverge ({', '.join(lost)}), so no finding." if lost else ""
    return text + (f" Seeds diverged at {', '.join(broken)}." if broken else "")


def _own_interval_holds_one(gain: Gain) -> bool:
    return gain.ci_low is not None and gain.ci_high is not None and gain.ci_low <= 1 <= gain.ci_high
