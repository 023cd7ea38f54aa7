"""Sweeps over the learning rate: the best one of every variant, and how much its gain depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from algoprog.ceg.curves import Curve
from algoprog.ceg.gains import Gain, compute_gains
from algoprog.report.naming import order_variants
from algoprog.report.section import Section, Table
from algoprog.report.words import gain_text, interval_text
from algoprog.runs.record import Run

KEY = "optim.lr"
"""The setting that a tuned sweep varies."""


@dataclass(frozen=True)
class Tuning:
    """Learning rates of one model by rising value, and for each variant its best one."""

    model: str
    cohorts: dict[str, str]  # learning rate -> cohort
    best: dict[str, str]  # variant -> learning rate


def tunings(runs: Sequence[Run], curves: Sequence[Curve]) -> list[Tuning]:
    """The models that were run at several learning rates and at no other different setting."""
    found = []
    for model in dict.fromkeys(run.record.model for run in runs):
        own = [run.record for run in runs if run.record.model == model]
        rest = {repr(sorted((k, v) for k, v in r.context.items() if k != KEY)) for r in own}
        cohorts = {str(r.context.get(KEY, "default")): r.cohort for r in own}
        if len(rest) == 1 and len(cohorts) == len({r.cohort for r in own}) > 1:
            ordered = dict(sorted(cohorts.items(), key=lambda item: _number(item[0])))
            found.append(Tuning(model, ordered, _best(model, ordered, curves)))
    return found


def tuned(curves: Sequence[Curve], found: Sequence[Tuning]) -> list[Curve]:
    """The curves with every variant of a tuned model at its best learning rate, as if of one cohort."""
    models = {tuning.model: tuning for tuning in found}
    kept = []
    for curve in curves:
        tuning = models.get(curve.model)
        if tuning is None:
            kept.append(curve)
        elif curve.variant in tuning.best and curve.cohort == tuning.cohorts[tuning.best[curve.variant]]:
            kept.append(replace(curve, cohort="tuned"))
    return kept


def tuning_section(
    found: Sequence[Tuning], curves: Sequence[Curve], *, cost: str, baseline: str, confidence: float
) -> Section | None:
    """Gains at every learning rate beside those of the best of each; None without a tuned model."""
    chosen = [tuning for tuning in found if baseline in tuning.best]
    if not chosen:
        return None
    options = {"estimators": ("iso_loss",), "costs": (cost,), "baseline": baseline, "confidence": confidence}
    names = {tuning.model for tuning in chosen}
    ours = [curve for curve in curves if curve.model in names]
    each, best = compute_gains(ours, **options), compute_gains(tuned(ours, chosen), **options)  # type: ignore[arg-type]
    rates = list(dict.fromkeys(rate for tuning in chosen for rate in tuning.cohorts))
    rows = tuple(
        _row(tuning, variant, rates, each, best) for tuning in chosen for variant in order_variants(tuning.best)
    )
    head = ("variant", "model", "best rate", "CEG, best of each", *(f"CEG at {rate}" for rate in rates))
    prose = (
        "One learning rate for all favours the variant that it suits. Best of each: variant and baseline both at the "
        "rate with the lowest final loss. A best rate marked 'edge' may lie beyond the grid: widen it.",
    )
    return Section("Learning rate", prose, table=Table("Gains by learning rate.", head, rows))


def _row(
    tuning: Tuning, variant: str, rates: Sequence[str], each: Sequence[Gain], best: Sequence[Gain]
) -> tuple[str, ...]:
    rate = tuning.best[variant]
    edge = " edge" if rate in (next(iter(tuning.cohorts)), next(reversed(tuning.cohorts))) else ""
    gain = _find(best, tuning.model, variant)
    labels = [f"{tuning.model}@{tuning.cohorts[r][:8]}" if r in tuning.cohorts else "" for r in rates]
    values = [gain_text(_find(each, label, variant)) for label in labels]
    return (variant, tuning.model, rate + edge, f"{gain_text(gain)} {interval_text(gain)}".strip(), *values)


def _find(gains: Sequence[Gain], model: str, variant: str) -> Gain | None:
    found = [gain for gain in gains if (gain.model, gain.variant) == (model, variant) and gain.kind != "bound"]
    return found[0] if found else None


def _best(model: str, cohorts: dict[str, str], curves: Sequence[Curve]) -> dict[str, str]:
    """The rate with the lowest mean final loss among those at which no seed of the variant diverged."""
    best = {}
    for variant in dict.fromkeys(curve.variant for curve in curves if curve.model == model):
        losses = {}
        for rate, cohort in cohorts.items():
            own = [c for c in curves if (c.model, c.variant, c.cohort) == (model, variant, cohort)]
            if own and not any(curve.diverged for curve in own):
                losses[rate] = fmean(float(curve.val_loss[-1]) for curve in own)
        if losses:
            best[variant] = min(losses, key=lambda rate: losses[rate])
    return best


def _number(rate: str) -> float:
    try:
        return float(rate)
    except ValueError:
        return 0.0
