"""The cross-entropy that works in place is PyTorch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from algoprog.data.windows import IGNORED
from algoprog.training import cross_entropy as module
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


def test_no_zeros_are_made_for_the_log_probabilities_that_have_no_gradient() -> None:
    logits, targets = drawn(torch.float32, 0)
    loss = cross_entropy(logits.requires_grad_(), targets)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as seen:
        loss.backward()
    of_their_size = [event.name for event in seen.events() if event.input_shapes[:1] == [[24, 37]]]
    assert "aten::exp_" in of_their_size
    assert not {"aten::zero_", "aten::fill_"} & {*of_their_size}


def test_members_at_once_get_what_each_gets_alone() -> None:
    logits, targets = drawn(torch.float64, 3)
    several = torch.stack((logits, 2 * logits)).requires_grad_()
    losses = torch.vmap(cross_entropy)(several, torch.stack((targets, targets.roll(1))))
    losses.sum().backward()
    for member, (scores, wanted) in enumerate(((logits, targets), (2 * logits, targets.roll(1)))):
        alone = scores.clone().requires_grad_()
        F.cross_entropy(alone, wanted).backward()
        torch.testing.assert_close(several.grad[member], alone.grad, rtol=1e-12, atol=1e-14)


@pytest.fixture
def in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything counts as large, and a chunk has five rows."""
    monkeypatch.setattr(module, "LARGE_BYTES", 0)
    monkeypatch.setattr(module, "CHUNK_BYTES", 5 * 37 * 4 // torch.get_num_threads())


@pytest.mark.parametrize("ignored", [0, 7])
@pytest.mark.usefixtures("in_small_chunks")
def test_large_logits_are_worked_on_where_they_lie(ignored: int) -> None:
    leaf, targets = drawn(torch.float32, ignored)
    ours, torchs = leaf.clone().requires_grad_(), leaf.clone().requires_grad_()
    logits = 1 * ours
    address = logits.data_ptr()
    loss, expected = cross_entropy(logits, targets), F.cross_entropy(torchs, targets)
    assert loss.item() == expected.item()
    (once,) = torch.autograd.grad(expected, torchs, retain_graph=True)
    torch.testing.assert_close(logits.detach(), once, rtol=1e-6, atol=1e-9)
    (gradient,) = torch.autograd.grad(3 * loss, logits, retain_graph=True)
    assert gradient.data_ptr() == address
    (3 * expected).backward()
    torch.testing.assert_close(gradient, torchs.grad, rtol=1e-6, atol=1e-9)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("ignored", [0, 7])
@pytest.mark.usefixtures("in_small_chunks")
def test_large_logits_that_are_only_scored_stay_as_they_are(ignored: int) -> None:
    logits, targets = drawn(torch.float32, ignored)
    before = logits.clone()
    assert cross_entropy(logits, targets).item() == F.cross_entropy(logits, targets).item()
    assert logits.equal(before)


@pytest.mark.parametrize("ignored", [0, 7])
@pytest.mark.usefixtures("in_small_chunks")
def test_large_narrow_logits_are_never_widened_as_a_whole(ignored: int) -> None:
    """Loss and gradient are those of PyTorch from logits in float32; nothing is kept but the gradient, in bfloat16."""
    leaf, targets = drawn(torch.bfloat16, ignored)
    ours, torchs = leaf.clone().requires_grad_(), leaf.float().requires_grad_()
    logits = 1 * ours
    loss, expected = cross_entropy(logits, targets), F.cross_entropy(torchs, targets)
    assert loss.dtype == torch.float32
    assert loss.item() == expected.item()
    assert [(tuple(kept.shape), kept.dtype) for kept in loss.grad_fn.saved_tensors] == [((24, 37), torch.bfloat16)]
    (gradient,) = torch.autograd.grad(3 * loss, logits, retain_graph=True)
    assert gradient.data_ptr() == logits.data_ptr()
    (3 * expected).backward()
    torch.testing.assert_close(gradient, torchs.grad.bfloat16(), rtol=2 * torch.finfo(torch.bfloat16).eps, atol=1e-9)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("chunked", [True, False])
def test_narrow_logits_are_scored_in_float32(monkeypatch: pytest.MonkeyPatch, chunked: bool) -> None:
    monkeypatch.setattr(module, "LARGE_BYTES", 0 if chunked else 10**9)
    logits, targets = drawn(torch.bfloat16, 7)
    before = logits.clone()
    expected = F.cross_entropy(logits.float(), targets)
    assert cross_entropy(logits, targets).item() == expected.item()
    assert logits.equal(before)
    small = cross_entropy(1 * logits.requires_grad_(), targets)
    assert small.item() == expected.item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.usefixtures("in_small_chunks")
def test_whoever_needs_large_logits_afterwards_is_told(dtype: torch.dtype) -> None:
    leaf, targets = drawn(dtype, 0)
    logits = leaf.requires_grad_().exp()  # whose gradient is itself
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        cross_entropy(logits, targets).backward()
