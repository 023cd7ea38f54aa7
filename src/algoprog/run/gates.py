"""Warnings about a run that a reader of its gains must see."""

from __future__ import annotations

from collections.abc import Sequence

from algoprog.runs.divergence import RISE_NATS

MAX_CORPUS_PASSES = 4.0
"""Repeating text more often than this changes what is measured. Source: Muennighoff et al. 2023 (arXiv 2305.16264)."""

MAX_EMBEDDING_SHARE = 0.4
"""With more of its parameters in the embedding a model says little about the other parts."""

DENSE = 0.9
"""From this share of the causal keys on, attention counts as dense, whatever its configuration calls it."""


def flags(
    *,
    diverged: bool,
    val_losses: Sequence[float],
    corpus_passes: float,
    embedding_share: float,
    dead: Sequence[str],
    sparse: bool,
    attention_density: float,
    single_end: bool,
) -> tuple[str, ...]:
    """The warnings that apply, as short words.

    Args:
        diverged: the run was ended by a NaN or an explosion.
        val_losses: the validation curve in nats per token.
        corpus_passes: training tokens seen per token of the corpus.
        embedding_share: share of the parameters that are embeddings.
        dead: parameters that never received a gradient.
        sparse: the attention is configured to leave keys out.
        attention_density: attended keys over causal keys, measured.
        single_end: one evaluation alone is the annealed end of a budget.
    """
    checks = {
        "diverged": diverged,
        "rising": not diverged and val_losses[-1] > min(val_losses) + RISE_NATS,
        "repeated-data": corpus_passes > MAX_CORPUS_PASSES,
        "embedding-heavy": embedding_share > MAX_EMBEDDING_SHARE,
        "dead-parameters": bool(dead),
        "dense-sparsity": sparse and attention_density >= DENSE,
        "single-end": single_end,
    }
    return tuple(word for word, applies in checks.items() if applies)
