"""GPT-2 and Llama as transformers 5.24 has them: equal logits, whichever gives the weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.configs import TINY, gpt, shaken, tokens
from tests.reference import reference
from tests.whole_models import copy_from, copy_to, gpt2, llama, pairs

MODELS = {
    "gpt2": (gpt2, TINY, {"norm": "ln", "final_norm": "ln"}),
    "llama": (
        llama,
        replace(TINY, bias=False),
        {"norm": "rmsnorm", "final_norm": "rmsnorm", "pos": "rope", "mlp": "swiglu"},
    ),
}

BOUND = {"gpt2": 1e-9, "llama": 1e-5}
"""Llama's norms and angles are computed in float32 there, whatever the model is kept in."""


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("giver", ["ours", "theirs"])
def test_logits_are_those_of_transformers(name: str, giver: str) -> None:
    made, dims, parts = MODELS[name]
    ours: Any = shaken(gpt(dims, **parts))
    theirs = shaken(made(reference(f"transformers.models.{name}.modeling_{name}"), ours, attn_implementation="eager"))
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    assert sum(tensor.numel() for tensor, _ in pairs(ours, theirs)) == sum(p.numel() for p in ours.parameters())
    copy_to(theirs, ours) if giver == "ours" else copy_from(theirs, ours)
    batch = tokens(3, dims)
    with torch.no_grad():
        torch.testing.assert_close(ours(batch), theirs.eval()(batch).logits, rtol=BOUND[name], atol=BOUND[name])
