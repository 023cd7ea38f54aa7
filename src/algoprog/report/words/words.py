"""What flags and kinds of gain mean, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algoprog.report.words.naming import ratio

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.gains import Gain

FLAGS: dict[str, str] = {
    "diverged": "at least one seed ended in NaN or a loss explosion; it has no gain and is not averaged in",
    "rising": "the validation loss rises after its minimum, so the last loss is not the best one",
    "single-seed": "one seed, and no spread of seeds is known: no interval, and another seed may differ by any amount",
    "borrowed-sd": "too few seeds for an interval of its own: the spread of other seeds of this model, or the stated "
    "one, stands in",
    "conditional": "the variant lost seeds to divergence: the gain is that of the seeds that finished, and no finding",
    "maybe-chance": "the interval excludes 1, but among so many variants some do so by chance: no finding",
    "other-device": "the seconds were taken on different devices or numbers of threads",
    "other-load": "the seconds were taken with different numbers of runs beside on the machine",
    "extrapolated": "the target lies outside the losses that were measured, so the gain rests on the fit",
    "indistinguishable": "cannot be told from no gain: 1 is inside its interval, or runs whose true gain is 1 "
    "score as much by themselves (the noise floor)",
    "mixed": "only some of the seeds reached the target; the others stand in with their auxiliary value",
    "unpaired": "the variant and the baseline do not share seeds, so every run was compared with every other",
    "seeds-missing": "some seeds were run for only one of variant and baseline and could not be used",
    "no-baseline": "the baseline was not run at this model and setting, so there is no gain",
    "resampled": "evaluations are uneven, so the paper's estimator read the curve on its even grid",
    "few-points": "too few evaluations near the target for a trustworthy interpolation",
    "poor-fit": "a spike or jump in a loss curve that no smooth trend follows; look at the curve before using the gain",
    "dense-sparsity": "attention that is configured sparse attended nearly every earlier key, so it was dense",
    "dead-parameters": "some parameters never received a gradient",
    "repeated-data": "the training data was seen more than four times",
    "single-end": "the run has one annealed end, its last evaluation: more steps make room for more, or schedule=wsd",
    "embedding-heavy": "more than 40 % of the parameters are embeddings, which few of the changes touch",
    "mixed-ladder": "the models differ in more than size and budget, so scale is not all that changes between them",
    "untuned": "no other learning rate is known to have been tried, so the gain may be that of a rate which suits one "
    "side better; tune=lr searches one for each",
    "untuned-baseline": "learning rates were tried for the variant and not for the baseline, which favours the variant",
    "lr-edge": "the best learning rate of the variant or the baseline is at the edge of what was tried; a better one "
    "may lie beyond it",
    "lr-grid": "the variant and the baseline were not tried at the same learning rates",
    "same-seed": "with one seed the learning rate was chosen by the run that is compared, which favours the one with "
    "more luck or more rates",
    "mid-schedule": "a loss within a learning-rate schedule was compared, where a budget could have ended lower; gains "
    "are pulled toward 1",
    "budget-mismatch": "the runs have no ends at about the same loss, so something else than ends was compared; more "
    "budgets settle it, as schedule=wsd with branches trains them",
    "sharp-decay": "the learning rate was held and then taken down within one run, a knee that smoothing rounds off; "
    "gains may be off by 3 %, compare annealed branches instead",
    "end-points": "each run is known by its end alone: laws through the ends of several sizes are compared, and the "
    "interval is by their scatter about the laws, ends less parameters being its degrees of freedom",
    "own-target": "this estimator compares at the variant's last loss, whatever target is asked for",
    "rising-loss": "the baseline ends no lower at the largest fitted model than at a smaller one, so more than compute "
    "decides its loss (steps, warm-up, learning rate), and a law of compute says little at a larger model",
    "no-floor": "two models cannot show which part of the loss no compute removes, so the predicted loss allows for "
    "any part of the lowest loss",
    "may-turn": "the measured models allow a gain that turns further up, or are too few to show it: an interval that "
    "holds where gains go on may not hold here",
}


def explain(flag: str) -> str:
    """One sentence about a flag; an unknown one explains itself by its name."""
    return FLAGS.get(flag, "reported by the run or the estimator")


def bound_sign(gain: Gain) -> str:
    """`>` where the gain is known to be larger than its value, else `<`."""
    return ">" if gain.ci_low is not None and gain.ci_high is None else "<"


def gain_text(gain: Gain | None) -> str:
    """A gain with its mark: `1.836`, `0.673 a` (auxiliary), `<0.981` (bound), `-` (none)."""
    if gain is None or gain.ceg is None:
        return "-"
    if gain.kind == "bound":
        return bound_sign(gain) + ratio(gain.ceg)
    return f"{ratio(gain.ceg)} a" if gain.kind == "auxiliary" else ratio(gain.ceg)


def interval_text(gain: Gain | None) -> str:
    """The interval as `[0.601, 0.702]`; empty where there is none, as for the baseline itself."""
    if gain is None or gain.variant == gain.baseline or gain.ci_low is None or gain.ci_high is None:
        return ""
    return f"[{ratio(gain.ci_low)}, {ratio(gain.ci_high)}]"
