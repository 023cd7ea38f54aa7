"""Which runs are compared: every variant of a model at its own tuned settings, the baseline included.

A sweep that was tuned holds two kinds of runs. Those of a search are trials: they tell which settings were chosen and
are never compared. Those to be compared stand at the chosen settings already. A sweep over several rates without such
roles is tuned here, seed by seed: every seed stands at the point that is best for the *other* seeds, so that choosing
and comparing share none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from weakref import WeakKeyDictionary

import numpy as np

from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import LEARNING_RATE, Curve, curves_from_runs
from algoprog.ceg.pairs.protocols import IMMATERIAL
from algoprog.ceg.pairs.same_function import execution_only
from algoprog.ceg.tuning.by_seed import passed_over, point_for
from algoprog.ceg.tuning.search import Point
from algoprog.ceg.tuning.trials import TUNED_SETTINGS, WEIGHT_DECAY, Trials, point_of, search_of
from algoprog.runs.record import BASELINE, COMPARE, SEARCH, Run

TUNED = "tuned"
"""Cohort of the curves that were chosen, so that they are compared with each other."""

SEARCHED = "searched"
"""What a protocol says in place of a setting that was chosen for every variant on seeds of its own."""

SAME_END = 0.05
"""Budgets whose ln differs by less count as one; a learning rate is judged at equal budget only."""


@dataclass(frozen=True)
class Tuning:
    """The searches of one model, and the points at which its compared runs stand.

    `separate` tells a search that had seeds of its own from one whose runs are themselves compared.
    """

    model: str
    cohort: str  # of the compared runs
    searches: Mapping[str, Trials]  # by variant; arms that compute the same function share one
    chosen: Mapping[tuple[str, int], Point]  # by variant and seed
    protocol: str  # under which it holds; empty for all runs of the model
    separate: bool
    same_seed: frozenset[str] = frozenset()  # variants with a seed that was chosen by its own loss
    passed_over: frozenset[str] = frozenset()  # variants that would stand elsewhere had no seed diverged there

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point at which any variant was tried."""
        return tuple(sorted({point for search in self.searches.values() for point in search.points}))

    def stands_at(self, variant: str) -> tuple[Point, ...]:
        """The distinct points of the compared runs of a variant, by rising rate."""
        return tuple(sorted({point for (name, _), point in self.chosen.items() if name == variant}))


def tunings(curves: Sequence[Curve], baseline: str = BASELINE) -> list[Tuning]:
    """The models that were tuned: by runs of a search, or by being run at several points and nothing else different."""
    found = []
    for model in dict.fromkeys(curve.model for curve in curves):
        own = [curve for curve in curves if curve.model == model]
        trials = [curve for curve in own if curve.role == SEARCH]
        compared = [curve for curve in own if curve.role == COMPARE]
        if trials:
            found += _searched(model, trials, compared, baseline)
        elif _differ_in_point_only(compared):
            found.append(_tuning(model, f"{TUNED} {model}", "", [], compared, baseline))
    return found


def tuned(curves: Sequence[Curve], baseline: str = BASELINE) -> list[Curve]:
    """The curves to compare: no run of a search, and of a tuned model those at the chosen points, in one cohort.

    In place of the tuned settings their protocol names the model's whole grid, or that it was searched: that is what
    the models of a ladder should share.
    """
    return [curve for _, curve in _chosen(curves, baseline)]


def tuned_runs(runs: Sequence[Run], baseline: str = BASELINE) -> list[Run]:
    """The runs behind the curves that `tuned` keeps, those of a tuned model in one cohort."""
    chosen = _chosen(curves_from_runs(runs), baseline)
    return [replace(runs[i], record=replace(runs[i].record, cohort=curve.cohort)) for i, curve in chosen]


def _chosen(curves: Sequence[Curve], baseline: str) -> list[tuple[int, Curve]]:
    """Place and new form of every curve that is kept."""
    models: dict[str, list[Tuning]] = {}
    for tuning in tunings(curves, baseline):
        models.setdefault(tuning.model, []).append(tuning)
    kept = []
    for index, curve in enumerate(curves):
        if curve.role == SEARCH:
            continue
        part = _of(models.get(curve.model, []), curve)
        if part is None:
            kept.append((index, curve))
        elif point_of(curve) == part.chosen[curve.variant, curve.seed]:
            kept.append((index, _form(curve, part)))
    return kept


_FORMS: WeakKeyDictionary[Curve, Curve] = WeakKeyDictionary()
"""The last new form of every curve: fits are kept with a curve, and the same choice is asked for many times."""


def _form(curve: Curve, tuning: Tuning) -> Curve:
    protocol, former = _protocol(curve, tuning), _FORMS.get(curve)
    if former is None or (former.cohort, former.protocol) != (tuning.cohort, protocol):
        former = _FORMS[curve] = replace(curve, cohort=tuning.cohort, protocol=protocol)
    return former


def _of(tunings: Sequence[Tuning], curve: Curve) -> Tuning | None:
    """The tuning that a curve takes part in: of several, the one of its protocol."""
    return next((tuning for tuning in tunings if tuning.protocol in ("", _rest(curve))), None)


def _protocol(curve: Curve, tuning: Tuning) -> dict[str, object]:
    changed: dict[str, object] = {}
    for axis, setting in enumerate(TUNED_SETTINGS[: len(tuning.points[0]) if tuning.points else 1]):
        values = tuple(sorted({point[axis] for point in tuning.points}))
        if tuning.separate and (len(values) > 1 or setting == LEARNING_RATE):
            changed[setting] = SEARCHED
        elif len(values) > 1:
            changed[setting] = values
    return {**curve.protocol, **changed}


def _searched(model: str, trials: Sequence[Curve], compared: Sequence[Curve], baseline: str) -> list[Tuning]:
    """One tuning for every protocol under which a model was searched."""
    protocols: dict[str, list[Curve]] = {}
    for curve in compared:
        protocols.setdefault(_rest(curve), []).append(curve)
    found = []
    for rest, runs in protocols.items():
        own = [curve for curve in trials if _rest(curve) == rest]
        if own and all(point_of(curve) is not None for curve in runs):
            cohort = TUNED if len(protocols) == 1 else hashlib.sha256(rest.encode()).hexdigest()[:8]
            found.append(_tuning(model, f"{cohort} {model}", rest, own, runs, baseline))
    return found


def _tuning(
    model: str, cohort: str, rest: str, trials: Sequence[Curve], compared: Sequence[Curve], baseline: str
) -> Tuning:
    arms = {name: [c for c in compared if c.variant == name] for name in dict.fromkeys(c.variant for c in compared)}
    fallback = search_of(arms.get(baseline, ())).best
    chosen: dict[tuple[str, int], Point] = {}
    alone: set[str] = set()
    over: set[str] = set()
    for name, arm in arms.items():
        for seed in sorted({curve.seed for curve in arm}):
            chosen[name, seed], by_itself = point_for(arm, seed, fallback)
            alone |= {name} if by_itself else set()
        over |= {name} if passed_over(arm) else set()
    searches = _shared(trials, compared) if trials else {name: search_of(arm) for name, arm in arms.items()}
    return Tuning(model, cohort, searches, chosen, rest, bool(trials), frozenset(alone), frozenset(over))


def _shared(trials: Sequence[Curve], compared: Sequence[Curve]) -> dict[str, Trials]:
    """The search of every variant that has trials, its own or those of another one that computes the same function."""
    runs: dict[str, list[Curve]] = {}
    for curve in trials:
        runs.setdefault(curve.variant, []).append(curve)
    found = {variant: search_of(own) for variant, own in runs.items()}
    for curve in compared:
        kin = (name for name, own in runs.items() if _same_function(curve, own[0]))
        if curve.variant not in found and (name := next(kin, None)) is not None:
            found[curve.variant] = found[name]
    return found


def _same_function(one: Curve, other: Curve) -> bool:
    return execution_only(one.variant, one.axes, other.variant, other.axes)


def _differ_in_point_only(curves: Sequence[Curve]) -> bool:
    """Several points, each of one cohort; one protocol beside them; every variant trained as long at every point."""
    cohorts: dict[Point | None, set[str]] = {}
    for curve in curves:
        cohorts.setdefault(point_of(curve), set()).add(curve.cohort)
    if len(cohorts) < 2 or None in cohorts or any(len(names) > 1 for names in cohorts.values()):
        return False
    if len(set.union(*cohorts.values())) < len(cohorts):
        return False
    if len({_rest(curve) for curve in curves}) > 1:
        return False
    ordered = sorted(curves, key=lambda curve: curve.variant)
    return all(_end_together(arm) for _, arm in groupby(ordered, key=lambda curve: curve.variant))


def _rest(curve: Curve) -> str:
    """The protocol less the tuned settings, to be compared; a setting that is missing is another protocol."""
    known = WEIGHT_DECAY in curve.protocol
    without = IMMATERIAL | {*TUNED_SETTINGS}
    return repr((known, sorted((k, repr(value)) for k, value in curve.protocol.items() if k not in without)))


def _end_together(curves: Iterable[Curve]) -> bool:
    """Whether the runs of a variant ended at one budget; diverged ones end early, and a clock says nothing."""
    ends: dict[str, list[float]] = {}
    for curve in curves:
        counted = [axis for axis in curve.costs if not COSTS[axis].measured]
        for axis in counted if not curve.diverged else ():
            if len(cost := curve.points(axis)[0]):
                ends.setdefault(axis, []).append(float(np.log(cost[-1])))
    return all(np.ptp(values) < SAME_END for values in ends.values())
