"""What counts as an explosion, and what does not."""

from __future__ import annotations

import math

import pytest

from algoprog.runs.divergence import exploded, lost


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([8.3, 5.0, 4.0, 3.5], False),
        ([8.3, 5.0, 4.0, math.nan], True),
        ([8.3, 5.0, 4.0, math.inf], True),
        ([8.3, math.nan, 4.0, 3.5], False),  # whether a gap matters is for the reader of the curve to say
        ([4.16, 3.9, 3.6, 8.56], True),  # far above where it began
        ([8.3, 4.0, 3.5, 7.0], True),  # below where it began, and yet most is lost
        ([8.3, 4.0, 3.5, 5.0], False),  # overfitting, or a spike: flagged as rising
        ([3.799, 3.542, 3.653], False),
        ([8.32, 8.35, 8.33, 8.34], False),  # it never learned
        ([8.3, 3.5, 9.0, 3.4], False),  # it came back
        ([5.0, 5.2, 6.1], True),
        ([5.0], False),
        ([], False),
    ],
)
def test_a_run_that_ends_without_what_it_learned_has_exploded(losses: list[float], expected: bool) -> None:
    assert exploded(losses) is expected


def test_a_loss_is_lost_far_above_the_first() -> None:
    assert [lost(loss, 4.0) for loss in (3.0, 6.0, 6.1, math.nan, math.inf)] == [False, False, True, True, True]
