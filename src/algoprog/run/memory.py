"""The memory that a run will hold at its peak, from its model on the meta device: nothing is computed or allocated.

Training holds weights and gradients in float32, what the optimizer keeps, and what the forward pass keeps for
the backward pass of one micro-batch. What is kept is counted with two layers: every further one keeps as much as the
second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode

from algoprog import build
from algoprog.axes import MODEL
from algoprog.model.dims import Dims
from algoprog.model.interface.reports import Reports
from algoprog.model.kernel.flash import widened
from algoprog.run.spec import RunSpec
from algoprog.training.cross_entropy import GPU_LARGE_BYTES, LARGE_BYTES
from algoprog.training.devices.hardware import Gpus
from algoprog.training.precision import MIXED_BF16, bytes_of_numbers, cast

BYTES_PER_PARAMETER = 8
"""float32: weight and gradient."""

CPU_BYTES_PER_PARAMETER = 4
"""On a CPU one float more, as measured: what the step of the optimizer and the allocator hold beside."""

CPU_PROCESS_BYTES = 475e6
"""What a process holds on a CPU before its model: interpreter, PyTorch and Lightning, measured on Linux."""

SLACK = 1.15
"""On what tensors hold: what lies unused between them. Measured on a CPU from nano to full, where it is the most."""

HALVED = {F.linear, F.conv1d, torch.matmul, Tensor.matmul, Tensor.__matmul__}
WHOLE = {F.layer_norm, F.rms_norm, F.softmax, F.cross_entropy}
"""What mixed precision does in bfloat16 and what, on a GPU, in float32; the rest takes what it is given."""


def peak_memory(spec: RunSpec, gpus: Gpus) -> float:
    """Bytes of one device at the peak of training; on a CPU of the whole process. An estimate.

    Args:
        spec: the run.
        gpus: those that it will see.
    """
    dims = build.dims_of(spec.config, spec.tokens)
    cpu = on_cpu(spec.config, gpus)
    first, further = _known(spec.config, replace(dims, n_layers=2), cpu=cpu)
    # The loss works in place of the logits where they are large, and the backward pass of what was kept, within a layer
    # with gradients that are about as much as it kept.
    activations = SLACK * (first + dims.n_layers * further + _beside_the_loss(spec, dims, gpus))
    share = bytes_of_numbers(spec.config["precision"]) / 4
    held = share * BYTES_PER_PARAMETER * spec.n_params + spec.optimizer_bytes + activations
    if cpu:
        return share * CPU_BYTES_PER_PARAMETER * spec.n_params + held + _branch_bytes(spec) + CPU_PROCESS_BYTES
    return held


def logits_bytes(spec: RunSpec, dims: Dims) -> float:
    """Of the logits of a micro-batch in float32."""
    return 4.0 * spec.micro_batch_size * dims.seq_len * dims.vocab_size


def _beside_the_loss(spec: RunSpec, dims: Dims, gpus: Gpus) -> float:
    """Bytes of logits held once the loss is known: small ones, what an objective copies; large ones of 16 bits save.

    They are kept themselves, where log-probabilities in float32 are counted.
    """
    logits = logits_bytes(spec, dims)
    large = LARGE_BYTES if on_cpu(spec.config, gpus) else GPU_LARGE_BYTES
    if logits <= large or build.construct(spec.config, "objective").adds:
        return logits
    return 0.0 if spec.config["precision"] == "32" else -logits / 2


def _branch_bytes(spec: RunSpec) -> float:
    """Bytes of the machine in which the trunk's weights and the optimizer's state wait while a branch is annealed."""
    weights = bytes_of_numbers(spec.config["precision"]) * spec.n_params
    return weights + spec.optimizer_bytes if spec.branches() else 0.0


def machine_memory(spec: RunSpec, gpus: Gpus) -> float:
    """Bytes that all processes of the run on one machine hold at the peak, where it trains on a CPU. An estimate."""
    return spec.n_devices // int(spec.config["trainer"]["num_nodes"]) * peak_memory(spec, gpus)


def on_cpu(config: Mapping[str, Any], gpus: Gpus) -> bool:
    """Whether the run trains on a CPU; where the machine decides that and is not known, it counts as one."""
    accelerator = config["trainer"]["accelerator"]
    return accelerator == "cpu" or (accelerator == "auto" and not gpus.a_run)


KEPT: dict[str, tuple[float, float]] = {}
"""What was counted before, by all that it depends on."""


def _known(config: dict[str, Any], dims: Dims, *, cpu: bool) -> tuple[float, float]:
    shape = repr([dims, cpu, *(config[name] for name in (*MODEL, "micro_batch_size", "precision", "objective"))])
    if shape not in KEPT:
        KEPT[shape] = _kept(config, dims, cpu=cpu)
    return KEPT[shape]


def _kept(config: dict[str, Any], dims: Dims, *, cpu: bool) -> tuple[float, float]:
    """Bytes that the forward pass of a micro-batch keeps beside weights: with one layer, and for each layer more."""
    gpt = cast(build.skeleton(config, dims).train(), config["precision"])
    weights = {parameter.untyped_storage()._cdata for parameter in gpt.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    def total() -> float:
        return float(sum(storage.nbytes() for address, storage in kept.items() if address not in weights))

    marks: list[float] = []
    gpt.layers[1].register_forward_pre_hook(lambda *_: marks.append(total()))
    gpt.layers[1].register_forward_hook(lambda *_: marks.append(total()))
    batch, reports = torch.zeros(config["micro_batch_size"], dims.seq_len, dtype=torch.long, device="meta"), Reports()
    with saved_tensors_hooks(keep, lambda tensor: tensor), _AsOnDevice(config["precision"] == MIXED_BF16, cpu=cpu):
        for logits in (gpt(batch, reports), *reports.ahead):
            F.cross_entropy(logits.flatten(0, 1).float(), batch.flatten())
    further = marks[1] - marks[0]
    return total() - further, further


class _AsOnDevice(TorchFunctionMode):
    """What the meta device does not do by itself: a fused attention kernel, and mixed precision."""

    def __init__(self, mixed: bool, *, cpu: bool) -> None:
        super().__init__()
        self.mixed, self.cpu = mixed, cpu
        self.cast: dict[int, Tensor] = {}  # a weight is cast once a step

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of PyTorch as the device would."""
        given = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            q, k, v = (self._to(tensor, torch.bfloat16) if self.mixed else tensor for tensor in args[:3])
            dtype = q.dtype
            if self.cpu and widened(q):
                q, k, v = (tensor.float() for tensor in (q, k, v))
            # torch has no types for `apply` of a function of ours.
            out: Tensor = _Fused.apply(q, k, v, given["attn_mask"])  # type: ignore[no-untyped-call]
            return out.to(dtype)
        if self.mixed and func in HALVED:
            args = tuple(self._to(value, torch.bfloat16) for value in args)
        elif self.mixed and not self.cpu and func in WHOLE:
            args = tuple(self._to(value, torch.float32) for value in args)
        return func(*args, **given)

    def _to(self, value: Any, dtype: torch.dtype) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dtype == dtype:
            return value
        if not value.is_leaf:
            return value.to(dtype)
        return self.cast.setdefault(id(value), value.to(dtype))


class _Fused(torch.autograd.Function):
    """Attention that keeps its inputs, its output and a sum a row, never the weights."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """An output of the right shape."""
        out = q.new_empty(*q.shape[:-1], v.shape[-1])
        sums = torch.empty(q.shape[:-1], device="meta")
        ctx.save_for_backward(q, k, v, out, sums, *(() if mask is None else (mask,)))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> None:
        """Never run: what is kept is counted, not used."""
        raise AssertionError
