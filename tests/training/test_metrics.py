"""Loss, perplexity and bits per byte."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from algoprog.training.metrics import LanguageModelLoss

BYTES_PER_TOKEN = 2.5


def batches(*sizes: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(n, 11, generator=generator, dtype=torch.float64), torch.randint(11, (n,), generator=generator))
        for n in sizes
    ]


def meter(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> LanguageModelLoss:
    metric = LanguageModelLoss(BYTES_PER_TOKEN)
    for logits, targets in pairs:
        metric.update(cross_entropy(logits, targets), targets.numel())
    return metric


def test_unequal_batches_are_weighed_by_their_tokens() -> None:
    pairs = batches(3, 50, 7)
    direct = cross_entropy(*(torch.cat(column) for column in zip(*pairs, strict=True))).item()
    result = meter(pairs).compute()
    assert result["loss"] == pytest.approx(direct, rel=1e-12)
    assert result["perplexity"] == pytest.approx(math.exp(direct), rel=1e-12)
    assert result["bits_per_byte"] == pytest.approx(direct / math.log(2) / BYTES_PER_TOKEN, rel=1e-12)


def test_bits_per_byte_are_those_of_the_bytes_scored() -> None:
    metric = LanguageModelLoss(1.0)
    metric.update(torch.tensor(2.0), 3, 12)
    metric.update(torch.tensor(4.0), 1, 0)  # the end of a text
    assert metric.compute()["bits_per_byte"] == pytest.approx(10 / math.log(2) / 12)
    metric.reset()
    metric.update(torch.tensor(4.0), 1, 0)
    assert math.isnan(metric.compute()["bits_per_byte"])


def test_devices_add_up() -> None:
    """What two devices saw is what one would have seen."""
    pairs = batches(3, 50, 7, 20)
    merged = meter(pairs[:1])
    merged.merge_state(meter(pairs[1:]))
    assert merged.compute() == pytest.approx(meter(pairs).compute())


def test_reset_and_empty() -> None:
    metric = meter(batches(4))
    metric.reset()
    with pytest.warns(UserWarning, match="before the ``update``"):
        result = metric.compute()
    assert all(math.isnan(value) for value in result.values())


def test_not_a_number_stays_visible() -> None:
    metric = meter(batches(4))
    metric.update(torch.tensor(math.nan), 4)
    assert math.isnan(metric.compute()["loss"])


def test_a_huge_loss_has_an_infinite_perplexity() -> None:
    metric = LanguageModelLoss(1.0)
    metric.update(torch.tensor(1e4), 4)
    assert metric.compute() == {"loss": 1e4, "perplexity": math.inf, "bits_per_byte": 1e4 / math.log(2)}


def test_half_precision_losses_are_added_up_in_double() -> None:
    metric = LanguageModelLoss(1.0)
    for _ in range(1000):
        metric.update(torch.tensor(4.0, dtype=torch.bfloat16), 1_000_001)
    assert metric.compute()["loss"] == 4.0
