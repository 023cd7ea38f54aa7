"""The table of gains of the page: one line a variant with a small interval drawn, details behind its name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from algoprog.ceg.gain import Gain
from algoprog.report.summary import SHOWN_ESTIMATORS, Arm, Group
from algoprog.report.words.naming import loss, order_variants, ratio
from algoprog.report.words.order import BY_GAIN, MANY, changed_axes, in_order
from algoprog.report.words.words import gain_text, interval_text

WIDTH, HEIGHT, EDGE = 96, 14, 5
"""Of a drawn interval, in pixels, and the margin left and right."""

FURTHEST = 8.0
"""Gains beyond this factor stand at the edge of the drawing."""


@dataclass(frozen=True)
class Cell:
    """What one model says of a variant."""

    loss: str
    gain: str
    drawing: Markup
    finding: bool
    values: tuple[str, str]  # of loss and gain, to sort by; empty where there is none


@dataclass(frozen=True)
class Row:
    """One variant."""

    variant: str
    axes: tuple[str, ...]
    cells: tuple[Cell | None, ...]  # a model each; None where it was not run
    details: tuple[tuple[str, str], ...]


def rows(groups: Sequence[Group], cost: str, costs: Mapping[str, str]) -> list[Row]:
    """The rows at one cost axis, of many variants by the gain at the largest model that has them."""
    places = [_range(group, cost) for group in groups]
    found = []
    for name in _order(groups, cost):
        arms = [group.arm(name) for group in groups]
        axes = next((changed_axes(arm, group) for arm, group in zip(arms, groups, strict=True) if arm), ())
        cells = tuple(_cell(arm, cost, place) if arm else None for arm, place in zip(arms, places, strict=True))
        details = [line for arm, group in zip(arms, groups, strict=True) if arm for line in _details(arm, group, costs)]
        found.append(Row(name, axes, cells, tuple(details)))
    return found


def _order(groups: Sequence[Group], cost: str) -> list[str]:
    names = order_variants(arm.variant for group in groups for arm in group.arms)
    if len(names) <= MANY:
        return names
    largest = [arm.variant for group in reversed(groups) for arm in in_order(group, BY_GAIN, cost)]
    return list(dict.fromkeys(largest))


def _cell(arm: Arm, cost: str, place: tuple[float, float]) -> Cell:
    gain = arm.gain(SHOWN_ESTIMATORS[0], cost)
    value = "" if gain is None or gain.ceg is None else f"{gain.ceg:.6g}"
    ended = "" if arm.diverged or arm.final_loss is None else f"{arm.final_loss:.6g}"
    text = "diverged" if arm.diverged else loss(arm.final_loss)
    return Cell(text, gain_text(gain), _drawing(gain, place), bool(gain and gain.finding), (ended, value))


def _range(group: Group, cost: str) -> tuple[float, float]:
    """The smallest and the largest ln CEG that a model's drawings hold, 0 among them."""
    gains = [arm.gain(SHOWN_ESTIMATORS[0], cost) for arm in group.arms]
    values = [v for gain in gains if gain for v in (gain.ceg, gain.ci_low, gain.ci_high) if v and 0 < v < math.inf]
    logs = [max(-math.log(FURTHEST), min(math.log(FURTHEST), math.log(value))) for value in values]
    return min([*logs, -0.1]), max([*logs, 0.1])


def _drawing(gain: Gain | None, place: tuple[float, float]) -> Markup:
    """A line from end to end of the interval with a point at the gain, and one at 1; nothing where there is no gain."""
    if gain is None or gain.ceg is None or gain.ceg <= 0:
        return Markup("")
    low, high = place

    def x(value: float) -> float:
        share = (math.log(value) - low) / (high - low) if value > 0 else 0.0
        return round(EDGE + min(1.0, max(0.0, share)) * (WIDTH - 2 * EDGE), 1)

    middle, one = HEIGHT / 2, x(1.0)
    known = gain.ci_low is not None and gain.ci_high is not None and gain.variant != gain.baseline
    line = f'<path class="range" d="M{x(gain.ci_low or 1)} {middle}H{x(gain.ci_high or 1)}"/>' if known else ""
    label = f"{gain_text(gain)} {interval_text(gain)}".strip()
    return Markup(  # numbers alone
        f'<svg class="interval" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        f' aria-label="{label.replace("<", "below ").replace(">", "above ")}">'
        f'<path class="one" d="M{one} 0V{HEIGHT}"/>{line}<circle cx="{x(gain.ceg)}" cy="{middle}" r="3"'
        f' class="{"primary" if gain.kind == "primary" else "other"}"/></svg>'
    )


def _details(arm: Arm, group: Group, costs: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is behind a row: the gains of one model on every axis, other estimators, and flags."""
    lines = [(f"{group.label}, {title}", _gain_line(arm, name)) for name, title in costs.items()]
    more = []
    first = arm.gain(SHOWN_ESTIMATORS[0], next(iter(costs)))
    if first and first.untuned_ceg:
        more.append(f"untuned {ratio(first.untuned_ceg)}")
    if first and first.trials:
        more.append(f"{first.trials} tried")
    if first and first.p_value is not None:
        more.append(f"p {first.p_value:.2g}{', a finding' if first.finding else ''}")
    if first:
        more.append(f"{first.n_seeds} {'seed' if first.n_seeds == 1 else 'seeds'}")
    more += [", ".join(arm.flags())] if arm.flags() else []
    return [*((title, text) for title, text in lines if text), *([(group.label, "; ".join(more))] if more else [])]


def _gain_line(arm: Arm, cost: str) -> str:
    gain, bound = arm.gain(SHOWN_ESTIMATORS[0], cost), arm.bound(SHOWN_ESTIMATORS[0], cost)
    paper = arm.gain(SHOWN_ESTIMATORS[1], cost)
    parts = [
        f"{gain_text(gain)} {interval_text(gain)}".strip() if gain else "",
        f"bound {gain_text(bound)}" if bound and bound is not gain else "",
        f"paper {gain_text(paper)}" if paper else "",
    ]
    return ", ".join(part for part in parts if part)
