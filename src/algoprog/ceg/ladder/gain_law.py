"""What the gains measured along a ladder say about the gains at a larger model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array
from algoprog.ceg.ladder.forms import FORMS, WALKS, Form, walk
from algoprog.ceg.ladder.mixture import Mixture
from algoprog.ceg.ladder.process import Answer, ask, weights

DECADE = float(np.log(10.0))
SAME = 1e-6
"""An ln CEG that tells of no noise: two runs that compute the same, in another order."""


@dataclass(frozen=True, eq=False)
class LadderGains:
    """Mean ln CEG of one variant, models by rising cost, and what a mean has of a pair's variance, the last ahead."""

    log_cost: Array
    log_gain: Array
    share: Array


@dataclass(frozen=True, eq=False)
class Course:
    """How a gain may move along the ladder, the larger model last: covariances of its form and of what strays."""

    form: Array
    stray: Array


@dataclass(frozen=True, eq=False)
class GainAhead:
    """ln CEG at the larger model: the law's value, the true one, what is measured, and how likely each form is.

    `course` is the covariance before anything is measured, averaged over forms and walks by what was measured.
    """

    law: Mixture
    true: Mixture
    measured: Mixture
    odds: dict[str, float]
    course: Course


def predict_gains(
    variants: Sequence[LadderGains],
    at: float,
    noise: Array,
    forms: Sequence[Form] = FORMS,
    walks: Sequence[tuple[float, float]] = WALKS,
) -> list[GainAhead]:
    """Average over the forms that a gain may take, each weighed by what the measurements say for it.

    Every variant has a form of its own. How far gains stray from their forms, and the noise, are one for the ladder, so
    all variants weigh them together.

    Args:
        variants: what was measured.
        at: ln cost of the larger model.
        noise: equally likely variances of one pair's ln CEG.
        forms: those that are thought possible.
        walks: pairs of sd a decade and odds.

    Source: Hoeting et al. 1999, "Bayesian model averaging: a tutorial", equations 1 to 3.
    """
    answers = [_ask(variant, at, noise, forms, walks) for variant in variants]
    odds = np.log([form.odds for form in forms])
    strays = np.repeat(np.log([odds for _, odds in walks]), len(noise))
    each = [answer.log_evidence.reshape(len(forms), -1) + odds[:, None] for answer in answers]
    totals = [np.logaddexp.reduce(evidence, axis=0) for evidence in each]
    telling = [total for variant, total in zip(variants, totals, strict=True) if np.abs(variant.log_gain).max() > SAME]
    shared = strays + sum(telling)
    found = []
    for variant, answer, evidence, total in zip(variants, answers, each, totals, strict=True):
        weight = weights((evidence - total + shared).ravel())
        share = weight.reshape(len(forms), len(walks), len(noise)).sum(2)
        found.append(_ahead(answer, weight, forms, share.sum(1), _course(variant, at, forms, walks, share)))
    return found


def _course(
    gains: LadderGains, at: float, forms: Sequence[Form], walks: Sequence[tuple[float, float]], share: Array
) -> Course:
    decades = (np.append(gains.log_cost, at) - gains.log_cost[0]) / DECADE
    form = np.einsum("f,fij->ij", share.sum(1), [form.covariance(decades) for form in forms])
    return Course(form, float(share.sum(0) @ [sd**2 for sd, _ in walks]) * walk(decades))


def _ahead(answer: Answer, weight: Array, forms: Sequence[Form], by_form: Array, course: Course) -> GainAhead:
    odds: dict[str, float] = {}
    for form, share in zip(forms, by_form, strict=True):
        odds[form.name] = odds.get(form.name, 0.0) + float(share)
    return GainAhead(
        law=Mixture(weight, answer.value[:, 0], answer.law_sd[:, 0]),
        true=Mixture(weight, answer.value[:, 0], answer.value_sd[:, 0]),
        measured=Mixture(weight, answer.value[:, 0], answer.measured_sd[:, 0]),
        odds=odds,
        course=course,
    )


def _ask(
    gains: LadderGains, at: float, noise: Array, forms: Sequence[Form], walks: Sequence[tuple[float, float]]
) -> Answer:
    """Under every form, walk and noise, in this order."""
    decades = (np.append(gains.log_cost, at) - gains.log_cost[0]) / DECADE
    places = len(decades)
    law = np.repeat([form.covariance(decades) for form in forms], len(walks) * len(noise), axis=0)
    stray = np.multiply.outer(np.repeat([sd**2 for sd, _ in walks], len(noise)), walk(decades))
    misfit = np.tile(stray, (len(forms), 1, 1))
    variance = np.tile(np.multiply.outer(noise, gains.share), (len(forms) * len(walks), 1))
    return ask(gains.log_gain, law, misfit, variance.reshape(-1, places, 1) * np.eye(places))
