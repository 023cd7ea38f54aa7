"""Warnings about a run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from algoprog.run.gates import flags

FINE: dict[str, Any] = {
    "diverged": False,
    "val_losses": [5.0, 4.0, 3.9, 3.91],
    "corpus_passes": 4.0,
    "embedding_share": 0.4,
    "dead": (),
    "sparse": True,
    "attention_density": 0.5,
    "single_end": False,
}


def test_a_fine_run_has_none() -> None:
    assert flags(**FINE) == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"diverged": True, "val_losses": [5.0, math.nan]}, "diverged"),
        ({"val_losses": [5.0, 3.9, 3.95]}, "rising"),
        ({"corpus_passes": 4.1}, "repeated-data"),
        ({"embedding_share": 0.41}, "embedding-heavy"),
        ({"dead": ("pos.table.weight",)}, "dead-parameters"),
        ({"attention_density": 0.95}, "dense-sparsity"),
        ({"single_end": True}, "single-end"),
    ],
)
def test_each_warns_alone(change: dict[str, Any], word: str) -> None:
    assert flags(**{**FINE, **change}) == (word,)


def test_all_together() -> None:
    bad = {"val_losses": [5.0, 3.0, 4.0], "corpus_passes": 9.0, "embedding_share": 0.9, "dead": ("a",)}
    assert flags(**{**FINE, **bad}) == ("rising", "repeated-data", "embedding-heavy", "dead-parameters")


def test_dense_attention_may_attend_everything() -> None:
    assert flags(**{**FINE, "sparse": False, "attention_density": 1.0}) == ()
