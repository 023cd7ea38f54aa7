"""Which run is compared with which: same model and cohort, variant against baseline, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from algoprog.ceg.curves import Curve
from algoprog.ceg.ends import join_budgets
from algoprog.ceg.fit.smoothing import long_enough
from algoprog.ceg.protocols import MIXED_LADDER, protocol_differences
from algoprog.ceg.tuning.choice import tuned


@dataclass(frozen=True)
class Pairs:
    """The runs of one variant beside those of the baseline; `flags` say what could not be used."""

    model: str
    variant: str
    pairs: tuple[tuple[Curve, Curve], ...]  # (baseline, variant), both finished, one a seed
    flags: tuple[str, ...]

    def long_enough(self, cost: str) -> tuple[list[tuple[Curve, Curve]], tuple[str, ...]]:
        """The pairs of which both runs have enough evaluations for a trend; `few-points` joins the flags if not all."""
        usable = [pair for pair in self.pairs if all(long_enough(curve, cost) for curve in pair)]
        return usable, tuple(sorted({*self.flags, *(["few-points"] if len(usable) < len(self.pairs) else [])}))


def pair_up(curves: Sequence[Curve], baseline: str) -> list[Pairs]:
    """Pair every variant of every model and cohort with its baseline, the baseline itself included.

    Where a model was run at several learning rates, every variant and the baseline stand at the best of their own (see
    `tuning`). Runs that differ in budget alone become one curve of their ends (see `ends`). Models whose protocols
    differ are flagged `mixed-ladder`.

    Raises:
        ValueError: there are no curves, no run of the baseline, or two runs of one variant, model, cohort and seed.
    """
    if not curves:
        raise ValueError("there are no curves: name a folder of finished runs or a CSV of curves")
    if all(curve.variant != baseline for curve in curves):
        names = ", ".join(sorted({curve.variant for curve in curves}))
        place = _place(curves)
        raise ValueError(f"no run of the baseline {baseline!r}{place}: run it, or choose --baseline among {names}")
    groups: dict[tuple[str, str], dict[str, dict[int, Curve]]] = {}
    chosen = join_budgets(tuned(curves, baseline))
    for curve in chosen:
        seeds = groups.setdefault((curve.model, curve.cohort), {}).setdefault(curve.variant, {})
        if curve.seed in seeds:
            raise ValueError(f"{curve} repeats {seeds[curve.seed]}: leave one of the two out, or number their seeds")
        seeds[curve.seed] = curve
    labels = _labels(list(groups))
    mixed = {model for difference in protocol_differences(chosen) for model in difference.values}
    return [
        _pairs(labels[key], name, arms.get(baseline, {}), arms[name], {MIXED_LADDER} if key[0] in mixed else set())
        for key, arms in sorted(groups.items(), key=lambda group: _size(group[1]))
        for name in sorted(arms, key=lambda name: name != baseline)
    ]


def _place(curves: Sequence[Curve]) -> str:
    """Where the curves are from, for messages: the first source, and how many more."""
    sources = list(dict.fromkeys(curve.source for curve in curves if curve.source))
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return f" in {sources[0]}{more}" if sources else ""


def _size(arms: Mapping[str, Mapping[int, Curve]]) -> int:
    """Parameters of the smallest run of a model, by which models are listed; 0 where the source does not tell."""
    return min(curve.n_params or 0 for runs in arms.values() for curve in runs.values())


def _labels(keys: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The model's name, with its cohort only where a model was run in several."""
    models = [model for model, _ in keys]
    return {key: key[0] if models.count(key[0]) == 1 else f"{key[0]}@{key[1][:8]}" for key in keys}


def _pairs(model: str, variant: str, base: dict[int, Curve], arm: dict[int, Curve], warned: set[str]) -> Pairs:
    flags = warned | {flag for curve in (*base.values(), *arm.values()) for flag in (*curve.flags, *curve.warnings)}
    if not base:
        return Pairs(model, variant, (), tuple(sorted(flags | {"no-baseline"})))
    seeds = sorted(base.keys() & arm.keys())
    if seeds:
        pairs = [(base[seed], arm[seed]) for seed in seeds]
    else:
        pairs = [(base[b], arm[a]) for b, a in zip(sorted(base), sorted(arm), strict=False)]
        flags.add("unpaired")
    if len(pairs) < max(len(base), len(arm)):
        flags.add("seeds-missing")
    finished = tuple(pair for pair in pairs if not pair[0].diverged and not pair[1].diverged)
    if len(finished) < len(pairs):
        flags.add("diverged")
    return Pairs(model, variant, finished, tuple(sorted(flags)))
