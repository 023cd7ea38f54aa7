"""Gains and runs joined into what every view shows: groups of comparable runs, one arm a variant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

from algoprog.ceg.metric import METRICS, NATS, Metric
from algoprog.ceg.pairs.same_function import execution_only
from algoprog.ceg.tuning.choice import tuned_runs
from algoprog.report.words.naming import order_variants
from algoprog.runs.record import BASELINE, DIVERGED, Record, Run

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.curves import Curve
    from algoprog.ceg.gains import Gain

T = TypeVar("T")

SHOWN_ESTIMATORS = ("iso_loss", "paper")
"""Estimators in the order of display; the first is the one that verdicts and figures use."""


@dataclass(frozen=True)
class Arm:
    """One variant at one model: its seeds and its gains; `curves` stand for its runs where it has no records."""

    variant: str
    runs: tuple[Run, ...]
    gains: tuple[Gain, ...]
    execution_only: bool
    curves: tuple[Curve, ...] = ()

    @property
    def final_loss(self) -> float | None:
        """Mean over the seeds of the last validation loss; None without a finite one."""
        ends = [float(curve.val_loss[-1]) for curve in self.curves if not curve.diverged]
        return _mean([run.record.final_val_loss for run in self.runs] if self.runs else ends)

    @property
    def min_loss(self) -> float | None:
        """Mean over the seeds of the lowest validation loss; None without a finite one."""
        return _mean([run.record.min_val_loss for run in self.runs])

    @property
    def n_diverged(self) -> int:
        """Number of seeds that diverged."""
        if not self.runs:
            return sum(curve.diverged for curve in self.curves)
        return sum(run.record.status == DIVERGED for run in self.runs)

    @property
    def diverged(self) -> bool:
        """Whether every seed diverged."""
        return self.n_diverged == len(self.runs or self.curves) > 0

    def gain(self, estimator: str, cost: str) -> Gain | None:
        """The value to show: the primary one, else the auxiliary, else the bound."""
        found = {g.kind: g for g in self.gains if (g.estimator, g.cost) == (estimator, cost)}
        return found.get("primary") or found.get("auxiliary") or found.get("bound")

    def bound(self, estimator: str, cost: str) -> Gain | None:
        """The bound, where the variant did not reach the target."""
        wanted = (estimator, cost, "bound")
        return next((g for g in self.gains if (g.estimator, g.cost, g.kind) == wanted), None)

    def flags(self, cost: str | None = None) -> tuple[str, ...]:
        """Warnings of the arm's gains (of one cost axis) and of its runs, each once."""
        gains = [flag for g in self.gains if cost in (None, g.cost) for flag in g.flags]
        runs = [flag for run in self.runs for flag in run.record.flags]
        diverged = [DIVERGED] if self.n_diverged else []
        return tuple(dict.fromkeys(gains + runs + diverged))


@dataclass(frozen=True)
class Group:
    """One model (and, where several were swept, one setting such as a learning rate) with its arms."""

    label: str
    baseline: str
    n_params: int | None
    arms: tuple[Arm, ...]

    @property
    def runs(self) -> list[Run]:
        """Every run of the group."""
        return [run for arm in self.arms for run in arm.runs]

    def arm(self, variant: str) -> Arm | None:
        """The arm of a variant, None where it was not run."""
        return next((arm for arm in self.arms if arm.variant == variant), None)

    @property
    def metric(self) -> Metric:
        """What its losses are in."""
        return METRICS[next((gain.metric for arm in self.arms for gain in arm.gains), NATS.name)]

    @property
    def known(self) -> bool:
        """Whether there are curves of any arm to be drawn."""
        return any(arm.runs or arm.curves for arm in self.arms)

    @property
    def reference(self) -> Arm | None:
        """The baseline's arm."""
        return self.arm(self.baseline)

    @property
    def target(self) -> float | None:
        """Loss that primary gains and bounds are measured at, else where the baseline ended."""
        for arm in self.arms:
            for gain in arm.gains:
                if gain.estimator == SHOWN_ESTIMATORS[0] and gain.kind != "auxiliary" and gain.target_loss is not None:
                    return gain.target_loss
        return self.reference.final_loss if self.reference else None

    @property
    def compute(self) -> float | None:
        """Training FLOPs of the baseline, mean over its seeds."""
        arms = (self.reference,) if self.reference else self.arms
        runs = [run.record.train_flops for arm in arms for run in arm.runs]
        return _mean(runs or [float(c.costs["flops"][-1]) for arm in arms for c in arm.curves if "flops" in c.costs])


def summarise(gains: Sequence[Gain], runs: Sequence[Run], curves: Sequence[Curve] = ()) -> list[Group]:
    """Groups in order of their parameters; what has gains but no runs (or the reverse) is kept.

    Where learning rates were swept, only the runs at the best rate of each variant are shown, as the gains use them.
    `curves` are shown of what has no records.
    """
    baseline = gains[0].baseline if gains else BASELINE
    runs = tuned_runs(runs, baseline)
    labels = cohort_labels([run.record for run in runs])
    renamed = model_labels(runs)
    gains = [replace(gain, model=renamed.get(gain.model, gain.model)) for gain in gains]
    shown = {(renamed.get(model, model), name): own for (model, name), own in _arms_of(curves, baseline).items()}
    by_label: dict[str, list[Run]] = {}
    for run in runs:
        by_label.setdefault(labels[run.record.cohort], []).append(run)
    names = dict.fromkeys([*by_label, *(gain.model for gain in gains)])
    groups = [_group(name, [g for g in gains if g.model == name], by_label.get(name, []), shown) for name in names]
    return sorted(groups, key=lambda g: (g.n_params is None, g.n_params or 0, g.label))


def _arms_of(curves: Sequence[Curve], baseline: str) -> Mapping[tuple[str, str], tuple[Curve, ...]]:
    if not curves:
        return {}
    from algoprog.ceg.pairs.pairing import arms_of  # here: scipy comes with it, which takes seconds

    return arms_of(curves, baseline)


def model_labels(runs: Sequence[Run]) -> dict[str, str]:
    """The label of each model that `algoprog.ceg` names by its cohort, because it was run in several."""
    runs = tuned_runs(runs)
    labels = cohort_labels([run.record for run in runs])
    return {f"{run.record.model}@{run.record.cohort[:8]}": labels[run.record.cohort] for run in runs}


def by_display_name(values: Mapping[str, T], runs: Sequence[Run]) -> dict[str, T]:
    """Values by the model's name in `algoprog.ceg`, keyed as the groups are labelled."""
    labels = model_labels(runs)
    return {labels.get(model, model): value for model, value in values.items()}


def cohort_labels(records: Sequence[Record]) -> dict[str, str]:
    """A label per cohort: the model's name, with the differing settings where several cohorts share it."""
    first = {record.cohort: record for record in sorted(records, key=lambda r: (r.created, r.run_id))}
    labels: dict[str, str] = {}
    for cohort, record in first.items():
        own, peers = _told(record), [_told(other) for other in first.values() if other.model == record.model]
        keys = sorted({k for told in peers for k in told if any(other.get(k) != told[k] for other in peers)})
        changed = ", ".join(f"{key}={own[key]}" for key in keys if key in own)
        label = record.model if len(peers) == 1 else f"{record.model} ({changed or 'default'})"
        labels[cohort] = label if label not in labels.values() else f"{label} #{cohort[:8]}"
    return labels


def _told(record: Record) -> dict[str, str]:
    """What was typed that is no axis, and what the run is measured against."""
    return {**record.context, "baseline": record.baseline}


def _group(
    label: str, gains: Sequence[Gain], runs: Sequence[Run], curves: Mapping[tuple[str, str], tuple[Curve, ...]]
) -> Group:
    baseline = gains[0].baseline if gains else BASELINE
    variants = order_variants([g.variant for g in gains] + [run.record.variant for run in runs])
    axes = {name: own[0].axes for (model, name), own in curves.items() if model == label}
    axes |= {run.record.variant: run.record.axes for run in runs}
    arms = tuple(
        Arm(
            name,
            tuple(sorted((r for r in runs if r.record.variant == name), key=lambda r: r.record.seed)),
            tuple(g for g in gains if g.variant == name),
            execution_only(name, axes.get(name, {}), baseline, axes.get(baseline, {})),
            curves.get((label, name), ()),
        )
        for name in variants
    )
    reference = [run.record.n_params for run in runs if run.record.variant == baseline]
    sizes = reference or [run.record.n_params for run in runs]
    return Group(label, baseline, sizes[0] if sizes else None, arms)


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [v for v in values if v is not None and math.isfinite(v)]
    return fmean(finite) if finite else None
