"""Cross-entropy whose backward pass works in place of what the forward pass kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from algoprog.data.windows import IGNORED


def cross_entropy(logits: Float[Tensor, "scored vocab"], targets: Int[Tensor, " scored"]) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the targets that are not ignored, in nats, bit for bit as PyTorch has it.

    The gradient, equal to PyTorch's to rounding, overwrites the log-probabilities: PyTorch fills a tensor of their size
    with zeros and writes another. It can be asked for once.
    """
    if not (torch.is_grad_enabled() and logits.requires_grad):
        return F.cross_entropy(logits, targets, ignore_index=IGNORED)
    # torch has no types for `apply` of a function of ours.
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


class _InPlace(torch.autograd.Function):
    """The gradient of a logit: its probability, less one at the target, over the number of targets."""

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
        seen = targets != IGNORED
        share = (gradient / seen.sum() * seen).unsqueeze(1)
        logits = log_probabilities.exp_().mul_(share)
        return logits.scatter_add_(1, targets.where(seen, 0).unsqueeze(1), -share), None
