"""Cross-entropy that works in place: a second tensor as large as the logits is made for small ones alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from algoprog.data.windows import IGNORED

CHUNK_BYTES, GPU_CHUNK_BYTES = 2**20, 2**26
"""Of the rows whose log-probabilities lie elsewhere for a moment: as much as a core's cache holds, for each thread."""

LARGE_BYTES, GPU_LARGE_BYTES = 2**20, 2**28
"""Logits that take more are turned into their gradient chunk by chunk, where they lie."""


def cross_entropy(logits: Float[Tensor, "scored vocab"], targets: Int[Tensor, " scored"]) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the targets that are not ignored, in nats, bit for bit as PyTorch has it.

    It is computed in float32 at least: bfloat16 cannot tell losses apart. The gradient, equal to PyTorch's to rounding,
    overwrites the log-probabilities: PyTorch fills a tensor of their size with zeros and writes another. It can be
    asked for once. Large logits whose gradient is wanted are overwritten by it in the forward pass already, while each
    chunk of them is in the cache, so whoever reads these must do so before.
    """
    chunked, wide = in_chunks(logits), _wide(logits)
    if not (torch.is_grad_enabled() and logits.requires_grad):
        return _scored(logits, targets) if chunked else F.cross_entropy(logits.to(wide), targets, ignore_index=IGNORED)
    # torch has no types for `apply` of a function of ours.
    if chunked and not logits.is_leaf:
        return _OfLogits.apply(logits, targets)  # type: ignore[no-untyped-call]
    return _InPlace.apply(logits.to(wide), targets)[0]  # type: ignore[no-untyped-call]


def losses_ahead(
    ahead: Sequence[Float[Tensor, "batch seq vocab"]], targets: Int[Tensor, "batch seq"]
) -> list[Float[Tensor, ""]]:
    """Mean cross-entropies in nats of further tokens, less those behind the end of a sequence.

    Args:
        ahead: logits of the token after the next, of the one after that, and so on.
        targets: the next tokens.
    """
    shifted = [F.pad(targets[:, further:], (0, further), value=IGNORED) for further in range(1, len(ahead) + 1)]
    return [cross_entropy(logits.flatten(0, 1), own.flatten()) for logits, own in zip(ahead, shifted, strict=True)]


def in_chunks(logits: Tensor) -> bool:
    """Whether the loss makes no tensor of the size of these; under `vmap` it does."""
    large = GPU_LARGE_BYTES if logits.is_cuda else LARGE_BYTES
    return logits.numel() * _wide(logits).itemsize > large and not torch._C._functorch.is_batchedtensor(logits)


def _wide(logits: Tensor) -> torch.dtype:
    """What log-probabilities are computed in."""
    return torch.promote_types(logits.dtype, torch.float32)


def _rows(logits: Tensor) -> int:
    """Of a chunk."""
    chunk = GPU_CHUNK_BYTES if logits.is_cuda else CHUNK_BYTES * torch.get_num_threads()
    return max(1, chunk // (logits.shape[1] * _wide(logits).itemsize))


def _scored(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss alone; logits stay as they are."""
    # Made before the chunks: small tensors that are kept between them would leave holes in memory.
    found = logits.new_empty(len(logits), 1, dtype=_wide(logits))
    for part, own, out in _chunks(logits, _column(targets), found):
        torch.gather(F.log_softmax(part, dim=-1, dtype=_wide(logits)), 1, own, out=out)
    return _mean(found, targets)


def _mean(of_targets: Tensor, targets: Tensor) -> Tensor:
    """The loss, from a column of the log-probability of each target, or of token 0 where it is ignored."""
    return F.nll_loss(of_targets, targets.where(targets == IGNORED, 0), ignore_index=IGNORED)


def _column(targets: Tensor) -> Tensor:
    """The index of each target, or 0 where it is ignored."""
    return targets.where(targets != IGNORED, 0).unsqueeze(1)


def _shares(targets: Tensor, gradient: Tensor) -> Tensor:
    """A column of the loss's gradient over the number of targets; 0 where one is ignored."""
    seen = targets != IGNORED
    return (gradient / seen.sum() * seen).unsqueeze(1)


def _chunks(logits: Tensor, *columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """A few rows of each at a time."""
    rows = _rows(logits)
    return zip(logits.split(rows), *(column.split(rows) for column in columns), strict=True)


def _gradient(log_probabilities: Tensor, shares: Tensor, column: Tensor) -> Tensor:
    """That of the logits, in place: the probability, less one at the target, by the share of its row."""
    return log_probabilities.exp_().mul_(shares).scatter_add_(1, column, -shares)


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
        ctx.set_materialize_grads(False)  # else zeros as large as the logits, for an output that has no gradient
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1], inputs[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: None) -> tuple[Tensor, None]:
        """Turn them into gradients."""
        log_probabilities, targets = ctx.saved_tensors
        return _gradient(log_probabilities, _shares(targets, gradient), _column(targets)), None


class _OfLogits(torch.autograd.Function):
    """Works in place of the logits from the first: no other tensor of their size is ever made.

    Autograd is not told that they change, since no part before them may need them; one that does is refused in its
    backward pass, for they count as a later version. Log-probabilities of 32 bits of narrower logits, too, are made
    for a chunk alone.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss; its gradient comes to lie where the logits lay."""
        lying, wide = logits.detach(), _wide(logits)
        found = logits.new_empty(len(logits), 1, dtype=wide)
        scratch = logits.new_empty(min(_rows(logits), len(logits)), logits.shape[1], dtype=wide)
        for part, own, share, out in _chunks(lying, _column(targets), _shares(targets, found.new_ones(())), found):
            log_probabilities = torch.log_softmax(part, dim=-1, dtype=wide, out=scratch[: len(part)])
            torch.gather(log_probabilities, 1, own, out=out)
            part.copy_(_gradient(log_probabilities, share, own))
        ctx.save_for_backward(lying)
        return _mean(found, targets)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The gradient, by what the loss is multiplied with."""
        (of_logits,) = ctx.saved_tensors
        if of_logits.device.type != "cpu" or gradient.item() != 1:  # a GPU would have to be waited for
            of_logits.mul_(gradient)
        return of_logits, None
