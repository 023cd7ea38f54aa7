"""Which run is compared with which: same model and cohort, variant against baseline, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from algoprog.ceg.curves import Curve
from algoprog.ceg.fit.smoothing import long_enough
from algoprog.ceg.metric import refuse_other_texts
from algoprog.ceg.pairs.ends import join_budgets
from algoprog.ceg.pairs.frontier import join_sizes
from algoprog.ceg.pairs.protocols import MIXED_LADDER, protocol_differences
from algoprog.ceg.tuning.choice import tuned
from algoprog.runs.record import DIVERGED


@dataclass(frozen=True)
class Pairs:
    """The runs of one variant beside those of the baseline; `flags` say what could not be used.

    Where `unpaired`, a seed means nothing across the two: every run is compared with every other, and `pairs` holds
    the runs in order for those who need pairs all the same. `lost` counts the variant's seeds that diverged.
    """

    model: str
    variant: str
    pairs: tuple[tuple[Curve, Curve], ...]  # (baseline, variant), both finished, one a seed
    flags: tuple[str, ...]
    crossed: tuple[tuple[Curve, Curve], ...] = ()  # all pairs of finished runs, by the baseline's run
    unpaired: bool = False
    lost: int = 0

    def long_enough(self, cost: str) -> tuple[list[tuple[Curve, Curve]], tuple[str, ...]]:
        """The pairs of which both runs have enough evaluations for a trend; `few-points` joins the flags if not all."""
        return self._usable(self.pairs, cost)

    def compared(self, cost: str) -> tuple[list[tuple[Curve, Curve]], tuple[str, ...]]:
        """The pairs that are compared, every run with every other where unpaired, less those too short for a trend."""
        return self._usable(self.crossed if self.unpaired else self.pairs, cost)

    def _usable(
        self, pairs: tuple[tuple[Curve, Curve], ...], cost: str
    ) -> tuple[list[tuple[Curve, Curve]], tuple[str, ...]]:
        short = {id(c) for pair in pairs for c in pair if not long_enough(c, cost)}
        usable = [pair for pair in pairs if not any(id(curve) in short for curve in pair)]
        return usable, tuple(sorted({*self.flags, *(["few-points"] if short else [])}))


def comparable(curves: Sequence[Curve], baseline: str) -> list[Curve]:
    """What is compared of all runs: those at their tuned settings, budgets and end points joined.

    Raises:
        ValueError: losses are of several tokenizers or texts, end points are too few or repeated, or all runs are
            trials of a search.
    """
    refuse_other_texts(curves)
    chosen = tuned(curves, baseline)
    if curves and not chosen:
        raise ValueError(f"all runs{_place(curves)} are trials of a search, which are not compared: finish the sweep")
    return join_sizes(join_budgets(chosen), baseline)


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
    chosen = comparable(curves, baseline)
    groups = _groups(chosen)
    labels = _labels(list(groups))
    mixed = {model for difference in protocol_differences(chosen) for model in difference.values}
    return [
        pairs
        for key, arms in sorted(groups.items(), key=lambda group: _size(group[1]))
        for pairs in _model_pairs(labels[key], baseline, arms, {MIXED_LADDER} if key[0] in mixed else set())
    ]


def arms_of(curves: Sequence[Curve], baseline: str) -> dict[tuple[str, str], tuple[Curve, ...]]:
    """The compared runs, diverged ones included, by the model's label in gains and the variant.

    Raises:
        ValueError: as `pair_up`.
    """
    groups = _groups(comparable(curves, baseline))
    labels = _labels(list(groups))
    return {(labels[key], name): tuple(seeds.values()) for key, arms in groups.items() for name, seeds in arms.items()}


def _groups(chosen: Sequence[Curve]) -> dict[tuple[str, str], dict[str, dict[int, Curve]]]:
    """Curves by model and cohort, variant and seed."""
    groups: dict[tuple[str, str], dict[str, dict[int, Curve]]] = {}
    for curve in chosen:
        seeds = groups.setdefault((curve.model, curve.cohort), {}).setdefault(curve.variant, {})
        if curve.seed in seeds:
            raise ValueError(f"{curve} repeats {seeds[curve.seed]}: leave one of the two out, or number their seeds")
        seeds[curve.seed] = curve
    return groups


def _model_pairs(model: str, baseline: str, arms: Mapping[str, dict[int, Curve]], warned: set[str]) -> list[Pairs]:
    """The pairs of every variant of one model, the baseline first.

    One shared seed is compared as a pair where other variants show what pairs scatter by, else with all runs.
    """
    base = arms.get(baseline, {})
    rest_paired = any(len(shared_seeds(base, runs)) > 1 for name, runs in arms.items() if name != baseline)
    return [
        _pairs(model, name, base, arms[name], warned, rest_paired=rest_paired or name == baseline)
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


def _pairs(
    model: str, variant: str, base: dict[int, Curve], arm: dict[int, Curve], warned: set[str], *, rest_paired: bool
) -> Pairs:
    flags = warned | {flag for curve in (*base.values(), *arm.values()) for flag in (*curve.flags, *curve.warnings)}
    if not base:
        return Pairs(model, variant, (), tuple(sorted(flags | {"no-baseline"})))
    seeds = shared_seeds(base, arm)
    alone = len(base) == len(arm) == 1
    unpaired = not seeds or (len(seeds) == 1 and not alone and not rest_paired)
    keys = list(zip(sorted(base), sorted(arm), strict=False)) if unpaired else [(seed, seed) for seed in seeds]
    lost = sum(run.diverged for run in arm.values())
    flags |= {"unpaired"} if unpaired else {"seeds-missing"} if len(keys) < max(len(base), len(arm)) else set()
    flags |= {DIVERGED} if any(run.diverged for run in (*base.values(), *arm.values())) else set()
    finished = tuple((base[b], arm[a]) for b, a in keys if not base[b].diverged and not arm[a].diverged)
    whole = [[run for _, run in sorted(side.items()) if not run.diverged] for side in (base, arm)]
    crossed = product(whole[0], whole[1])
    return Pairs(model, variant, finished, tuple(sorted(flags)), tuple(crossed), unpaired, lost)


def shared_seeds(base: Mapping[int, Curve], arm: Mapping[int, Curve]) -> list[int]:
    """Seeds that mean the same data and initial weights for both.

    Our own runs of one cohort share them. Of curves from elsewhere the numbers are taken at their word within one file;
    across files they are numbers only.
    """
    return [
        seed
        for seed in sorted(base.keys() & arm.keys())
        if base[seed].axes or arm[seed].axes or base[seed].source == arm[seed].source
    ]
