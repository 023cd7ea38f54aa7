"""What optimizers are charged in words: a gain in FLOPs and in steps are not the same where one pays more a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from algoprog.ceg.cost import COSTS
from algoprog.report.summary import SHOWN_ESTIMATORS, Arm, Group
from algoprog.report.words.naming import plain
from algoprog.report.words.words import gain_text

COST_AXES = ("flops", "steps", "seconds")


def charge_sentences(groups: Sequence[Group]) -> Iterator[str]:
    """One sentence for each variant whose optimizer is charged: its share of the FLOPs, and the gain on every axis."""
    for group in groups:
        for arm in group.arms:
            share, gains = _share(arm), _gains(arm)
            if share and gains:
                yield (
                    f"{plain(arm.variant)} at {plain(group.label)}: gain {', '.join(gains)}; matrix products of its"
                    f" optimizer are {share:.1%} of its FLOPs"
                )


def charges_in_brief(groups: Sequence[Group]) -> list[str]:
    """One sentence for all of them, where there are many variants."""
    charged = dict.fromkeys(plain(arm.variant) for group in groups for arm in group.arms if _share(arm))
    return [f"Charged for the matrix products of their optimizer: {', '.join(charged)}"] if charged else []


def _share(arm: Arm) -> float:
    """Share of the charged FLOPs that the optimizer takes."""
    total = sum(run.record.train_flops for run in arm.runs)
    return sum(run.record.optimizer_flops for run in arm.runs) / total if total else 0.0


def _gains(arm: Arm) -> list[str]:
    found = {COSTS[cost].title: arm.gain(SHOWN_ESTIMATORS[0], cost) for cost in COST_AXES}
    return [f"{gain_text(gain)} in {word}" for word, gain in found.items() if gain]
