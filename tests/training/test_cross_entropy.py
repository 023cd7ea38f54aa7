"""The cross-entropy that works in place is PyTorch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from algoprog.data.windows import IGNORED
from algoprog.training.cross_entropy import cross_entropy


def drawn(dtype: torch.dtype, ignored: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    targets = torch.randint(0, 37, (24,))
    targets[torch.randperm(24)[:ignored]] = IGNORED
    return 5 * torch.randn(24, 37, dtype=dtype), targets


@pytest.mark.parametrize("ignored", [0, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradient_are_pytorchs(dtype: torch.dtype, ignored: int) -> None:
    logits, targets = drawn(dtype, ignored)
    ours, torchs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss, expected = cross_entropy(ours, targets), F.cross_entropy(torchs, targets)
    assert loss.item() == expected.item()
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(ours.grad, torchs.grad, rtol=8 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).tiny)
    assert not ours.grad[targets == IGNORED].any()


def test_what_is_not_differentiated_keeps_nothing() -> None:
    logits, targets = drawn(torch.float32, 0)
    with torch.no_grad():
        assert cross_entropy(logits.requires_grad_(), targets).grad_fn is None


def test_the_gradient_cannot_be_asked_for_twice() -> None:
    logits, targets = drawn(torch.float32, 0)
    loss = cross_entropy(logits.requires_grad_(), targets)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_the_backward_pass_allocates_no_second_tensor_of_that_size() -> None:
    """The gradient lies where the log-probabilities lay."""
    logits, targets = drawn(torch.float32, 0)
    logits.requires_grad_()
    loss = cross_entropy(logits, targets)
    kept = loss.grad_fn.saved_tensors[0]
    assert torch.autograd.grad(loss, logits)[0].data_ptr() == kept.data_ptr()


def test_members_at_once_get_what_each_gets_alone() -> None:
    logits, targets = drawn(torch.float64, 3)
    several = torch.stack((logits, 2 * logits)).requires_grad_()
    losses = torch.vmap(cross_entropy)(several, torch.stack((targets, targets.roll(1))))
    losses.sum().backward()
    for member, (scores, wanted) in enumerate(((logits, targets), (2 * logits, targets.roll(1)))):
        alone = scores.clone().requires_grad_()
        F.cross_entropy(alone, wanted).backward()
        torch.testing.assert_close(several.grad[member], alone.grad, rtol=1e-12, atol=1e-14)
