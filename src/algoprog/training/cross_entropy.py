"""Cross-entropy that works in place: a second tensor as large as the logits is made for small ones alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from algoprog.data.windows import IGNORED

CHUNK_BYTES, GPU_CHUNK_BYTES = 2**20, 2**26
"""Of the rows whose log-probabilities lie elsewhere for a moment: as much as a core's cache holds, for each thread."""

LARGE_BYTES, GPU_LARGE_BYTES = 2**22, 2**28
"""Logits that take more are turned into log-probabilities chunk by chunk, where they lie."""


def cross_entropy(logits: Float[Tensor, "scored vocab"], targets: Int[Tensor, " scored"]) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the targets that are not ignored, in nats, bit for bit as PyTorch has it.

    The gradient, equal to PyTorch's to rounding, overwrites the log-probabilities: PyTorch fills a tensor of their size
    with zeros and writes another. It can be asked for once. Large logits whose gradient is wanted are overwritten by
    them, so whoever reads these must do so before.
    """
    chunked = in_chunks(logits)
    if not (torch.is_grad_enabled() and logits.requires_grad):
        return _scored(logits, targets) if chunked else F.cross_entropy(logits, targets, ignore_index=IGNORED)
    # torch has no types for `apply` of a function of ours.
    if chunked and not logits.is_leaf:
        return _OfLogits.apply(logits, targets)  # type: ignore[no-untyped-call]
    return _InPlace.apply(logits, targets)[0]  # type: ignore[no-untyped-call]


def losses_ahead(
    ahead: Sequence[Float[Tensor, "batch seq vocab"]], targets: Int[Tensor, "batch seq"]
) -> list[Float[Tensor, ""]]:
    """Mean cross-entropies in nats of further tokens, less those behind the end of a sequence.

    Args:
        ahead: logits of the token after the next, of the one after that, and so on.
        targets: the next tokens.
    """
    shifted = [F.pad(targets[:, further:], (0, further), value=IGNORED) for further in range(1, len(ahead) + 1)]
    wide = [logits.to(torch.promote_types(logits.dtype, torch.float32)).flatten(0, 1) for logits in ahead]
    return [cross_entropy(logits, tokens.flatten()) for logits, tokens in zip(wide, shifted, strict=True)]


def in_chunks(logits: Tensor) -> bool:
    """Whether the loss makes no tensor of the size of these; under `vmap` it does."""
    large = GPU_LARGE_BYTES if logits.is_cuda else LARGE_BYTES
    return logits.nbytes > large and not torch._C._functorch.is_batchedtensor(logits)


def _rows(logits: Tensor) -> int:
    """Of a chunk."""
    chunk = GPU_CHUNK_BYTES if logits.is_cuda else CHUNK_BYTES * torch.get_num_threads()
    return max(1, chunk // (logits.shape[1] * logits.element_size()))


def _scored(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss alone; logits stay as they are."""
    seen, rows = targets != IGNORED, _rows(logits)
    parts = zip(logits.split(rows), targets.where(seen, 0).unsqueeze(1).split(rows), strict=True)
    found = torch.cat([F.log_softmax(part, dim=-1).gather(1, own) for part, own in parts])
    return F.nll_loss(found, targets.where(~seen, 0), ignore_index=IGNORED)


def _gradient(log_probabilities: Tensor, targets: Tensor, gradient: Tensor) -> Tensor:
    """That of the logits, in place: the probability, less one at the target, over the number of targets."""
    seen = targets != IGNORED
    share = (gradient / seen.sum() * seen).unsqueeze(1)
    return log_probabilities.exp_().mul_(share).scatter_add_(1, targets.where(seen, 0).unsqueeze(1), -share)


class _InPlace(torch.autograd.Function):
    """Keeps the log-probabilities, and works in place of them."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the log-probabilities, which are kept."""
        log_probabilities = F.log_softmax(logits, dim=-1)
        return F.nll_loss(log_probabilities, targets, ignore_index=IGNORED), log_probabilities

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        """Keep them."""
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1], inputs[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None]:
        """Turn them into gradients."""
        log_probabilities, targets = ctx.saved_tensors
        return _gradient(log_probabilities, targets, gradient), None


class _OfLogits(torch.autograd.Function):
    """Works in place of the logits from the first: no other tensor of their size is ever made.

    Autograd is not told that they change, since no part before them may need them; one that does is refused in its
    backward pass, for they count as a later version.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss."""
        log_probabilities = logits.detach()
        for rows in log_probabilities.split(_rows(logits)):
            rows.copy_(F.log_softmax(rows, dim=-1))
        ctx.save_for_backward(log_probabilities, targets)
        return F.nll_loss(log_probabilities, targets, ignore_index=IGNORED)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The gradient, where they lay."""
        log_probabilities, targets = ctx.saved_tensors
        return _gradient(log_probabilities, targets, gradient), None
