"""Bits per byte: the same for the same probabilities, however a text is cut into tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from algoprog.data.windows import DocumentWindows
from algoprog.run import app, fit
from algoprog.run.spec import language_model
from algoprog.runs.store import load_run
from algoprog.training.module import LanguageModel
from tests.configs import TINY_RUN

N, END = 12, 12
"""Tokens of a text besides its end."""

LENGTHS = np.array([1, 2, 3, 1, 5, 4, 1, 2, 7, 1, 3, 2, 0])
RNG = np.random.default_rng(3)
LOGITS = torch.from_numpy(RNG.normal(0, 2, (N + 1, N + 1)))
STREAM = np.concatenate([np.append(RNG.integers(0, N, n), END) for n in (40, 3, 1, 75, 18)])


class Bigram(torch.nn.Module):
    """The next token by the one before it."""

    def statistics(self) -> dict[str, Any]:
        return {}

    def forward(self, inputs: torch.Tensor, reports: object) -> torch.Tensor:
        return LOGITS[inputs]


class Halves(Bigram):
    """The same probabilities where every token is two, `t` and `N + 1 + t`, of which the second follows surely."""

    def forward(self, inputs: torch.Tensor, reports: object) -> torch.Tensor:
        logits = torch.full((*inputs.shape, 2 * N + 1), -torch.inf, dtype=torch.float64)
        whole = inputs >= END  # the end of a text is one token, behind a second half a new token begins
        logits[..., : N + 1] = LOGITS[torch.where(inputs > END, inputs - N - 1, END)]
        second = torch.nn.functional.one_hot(inputs.clamp(max=END - 1) + N + 1, 2 * N + 1).double().log()
        return torch.where(whole[..., None], logits, second)


def halved(stream: np.ndarray) -> np.ndarray:
    return np.concatenate([[token] if token == END else [token, N + 1 + token] for token in stream.tolist()])


def measured(model: Bigram, stream: np.ndarray, lengths: np.ndarray, seq_len: int, batch: int) -> dict[str, float]:
    module = LanguageModel(
        model,  # type: ignore[arg-type]
        optimizer=None,  # type: ignore[arg-type]
        schedule=None,  # type: ignore[arg-type]
        objective=None,  # type: ignore[arg-type]
        total_steps=1,
        bytes_per_token=math.nan,
        token_bytes=torch.from_numpy(lengths),
        compiled=False,
    )
    for windows in DataLoader(DocumentWindows(stream, lengths, seq_len, 10**6), batch_size=batch):
        module.score(windows)
    found: dict[str, float] = module.val_meter.compute()
    return found


@pytest.mark.parametrize("seq_len", [1, 5, 64, 1000])
def test_tokens_split_in_two_change_the_loss_and_no_bits_per_byte(seq_len: int) -> None:
    previous = np.append(END, STREAM[:-1])
    nats = -torch.log_softmax(LOGITS, -1)[torch.from_numpy(previous), torch.from_numpy(STREAM)].sum().item()
    n_bytes = int(LENGTHS[STREAM].sum())
    whole = measured(Bigram(), STREAM, LENGTHS, seq_len, batch=3)
    first = (LENGTHS[:N] + 1) // 2
    lengths = np.concatenate([first, [0], LENGTHS[:N] - first])  # a second half may have no byte
    halves = measured(Halves(), halved(STREAM), lengths, seq_len, batch=2)
    assert whole["bits_per_byte"] == pytest.approx(nats / math.log(2) / n_bytes, rel=1e-6)
    assert halves["bits_per_byte"] == pytest.approx(whole["bits_per_byte"], rel=1e-6)
    assert whole["loss"] == pytest.approx(nats / len(STREAM), rel=1e-6)
    assert halves["loss"] == pytest.approx(nats / (2 * len(STREAM) - 5), rel=1e-6)


def test_a_run_scores_whole_documents(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    words = (*TINY_RUN, "batch_size=64", "micro_batch_size=64", "evaluation.bytes=60000", "budget.steps=2")
    words += ("evaluation.points=2", "schedule.branches=1")
    spec = app.prepare(compose(*words))
    windows = spec.val_windows()
    assert isinstance(windows, DocumentWindows)
    assert 30_000 < windows.n_bytes <= 60_000
    record = fit.run(spec, tmp_path, list(words))
    model, nats = language_model(spec), 0.0
    with torch.no_grad():
        for inputs, targets in DataLoader(windows, batch_size=100):
            losses = torch.nn.functional.cross_entropy(model.gpt(inputs).transpose(1, 2), targets, reduction="none")
            nats += losses.double().sum().item()
    curve = load_run(tmp_path).curve
    assert curve["val_bits_per_byte"][0] == pytest.approx(nats / math.log(2) / windows.n_bytes, rel=1e-5)
    assert spec.evaluation_flops == pytest.approx(
        len(windows) * 32 * spec.flops_per_token / 3 * (len(spec.evaluation_steps()) + len(spec.branches()))
    )
    assert record.protocol["evaluation.bytes"] == 60000
    assert record.data.val_text_sha256 == spec.tokens.info.val_text_sha256 is not None


def test_whole_documents_are_another_run_and_null_is_none(compose: Callable[..., dict[str, Any]]) -> None:
    plain, same, other = (
        app.prepare(compose(*TINY_RUN, *words))
        for words in ((), ("evaluation.bytes=null",), ("evaluation.bytes=60000",))
    )
    assert plain.run_id == same.run_id != other.run_id
    with pytest.raises(ValueError, match=r"evaluation\.bytes=0 must be null or at least 1"):
        app.prepare(compose(*TINY_RUN, "evaluation.bytes=0"))
