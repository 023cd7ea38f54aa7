"""One pass through several models of one shape, with their parameters stacked along a member dimension."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, vmap
from torch.overrides import TorchFunctionMode

from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.reports import Reports
from algoprog.training.module import Batch, next_token_loss

Told = tuple[Tensor, list[Tensor], dict[str, Tensor]]
"""Of every member the cross-entropy, the losses of its parts, and their statistics."""


class Streams(Protocol):
    """The random numbers of the members, each as if it were alone."""

    def draw(self, member: int, call: Callable[[], Tensor]) -> Tensor:
        """What a call that draws random numbers returns, with those of a member."""


def losses(
    models: Sequence[Backbone], batches: Sequence[Batch], reports: Sequence[Reports | None], streams: Streams
) -> list[Tensor]:
    """Mean cross-entropy in nats of each model on its own batch; `reports` take what parts tell, where one is given."""
    shared = models[0]

    def one(tensors: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Told:
        told = Reports()
        logits = functional_call(shared, tensors, (inputs, told))
        return next_token_loss(logits, targets), told.losses, told.statistics

    inputs, targets = (torch.stack(parts) for parts in zip(*batches, strict=True))
    with _OfMembers(streams):
        found, extra, statistics = vmap(one)(_stacked(models), inputs, targets)
    for member, taken in enumerate(reports):
        if taken is not None:
            taken.losses += [loss[member] for loss in extra]
            taken.statistics.update({key: value[member] for key, value in statistics.items()})
    return list(found.unbind())


def _stacked(models: Sequence[Backbone]) -> dict[str, Tensor]:
    """Parameters and buffers by name; gradients find their way back to each model's own."""
    named = [{**dict(model.named_parameters()), **dict(model.named_buffers())} for model in models]
    return {name: torch.stack([tensors[name] for tensors in named]) for name in named[0]}


class _OfMembers(TorchFunctionMode):
    """Dropout from the stream of each member, and fused attention over all of them as one batch.

    `vmap` would draw for all members at once, and on a CPU it calls the fused kernel for one after the other.
    """

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self.streams = streams

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of PyTorch, or what stands for it."""
        given = dict(kwargs or {})
        # torch has no types for `apply` of a function of ours.
        if func is F.dropout and (rate := _rate(*args, **given)):
            return _Dropout.apply(args[0], rate, self.streams)  # type: ignore[no-untyped-call]
        if func is F.scaled_dot_product_attention:
            mask = given.pop("attn_mask")
            return _Attention.apply(*args, mask, given, self.streams)  # type: ignore[no-untyped-call]
        return func(*args, **given)


def _rate(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> float:
    """What `torch.nn.functional.dropout` drops, given its arguments."""
    return p if training else 0.0


class _OverMembers(torch.autograd.Function):
    """A function that is called under `vmap` alone; what it does there is differentiated as it stands."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        """Never without members."""
        raise AssertionError

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept."""


class _Dropout(_OverMembers):
    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor, p: float, streams: Streams) -> tuple[Tensor, int]:
        """Multiply each member by what dropout makes of ones, which is how it drops."""
        x = x.movedim(in_dims[0], 0)
        ones = torch.ones_like(x[0])
        kept = [streams.draw(member, lambda: F.dropout(ones, p, True)) for member in range(info.batch_size)]
        return x * torch.stack(kept), 0


class _Attention(_OverMembers):
    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        options: dict[str, Any],
        streams: Streams,
    ) -> tuple[Tensor, int]:
        """All members as one batch; one after the other where the kernel draws random numbers."""
        members = info.batch_size
        q, k, v = (_first(part, dim, members) for part, dim in zip((q, k, v), in_dims, strict=False))
        if mask is not None:
            mask = _first(mask, in_dims[3], members)
            mask = mask.reshape(members, *(1,) * (5 - mask.dim()), *mask.shape[1:])
            mask = mask.expand(members, q.shape[1], *mask.shape[2:])

        def attend(part: slice) -> Tensor:
            chosen = None if mask is None else mask[part].flatten(0, 1)
            inputs = (tensor[part].flatten(0, 1) for tensor in (q, k, v))
            mixed = F.scaled_dot_product_attention(*inputs, chosen, **options)  # type: ignore[call-arg,arg-type]  # three
            return mixed.unflatten(0, (-1, q.shape[1]))

        if options["dropout_p"] == 0:
            return attend(slice(None)), 0
        parts = [slice(member, member + 1) for member in range(members)]
        return torch.cat([streams.draw(part.start, partial(attend, part)) for part in parts]), 0


def _first(tensor: Tensor, dim: int | None, members: int) -> Tensor:
    """The tensor with its member dimension in front, one that is the same for all of them repeated."""
    return tensor.expand(members, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
