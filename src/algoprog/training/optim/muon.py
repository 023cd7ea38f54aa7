"""Muon: matrices move by an orthogonalised momentum, everything else by AdamW."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared, Role
from algoprog.training.devices.shards import gathered, part
from algoprog.training.optimizer import MOMENT_BYTES, Combined, OfMatrices, Recipe, check_knobs, groups

A, B, C = 3.4445, -4.7750, 2.0315
"""Coefficients of the iteration x <- A x + B x^3 + C x^5, whose slope at 0 is steep (Jordan et al.)."""

LEAST_NORM = 1e-7
"""That a matrix is divided by, so that one of zeros stays one."""

RMS = 0.2
"""Root mean square of an update of AdamW, as Liu et al. found it."""


class Muon(Recipe):
    """Steepest descent under the spectral norm: the momentum of a matrix with its singular values set to about one.

    Every update is scaled by 0.2 sqrt(max(rows, columns)), which gives it the root mean square that AdamW's have, so
    that one rate and one decay serve both. Embeddings, the head, routers and vectors get AdamW.

    It is the update of torch.optim.Muon with `match_rms_adamw`, which takes whole parameters of two dimensions alone:
    here every projection of a fused matrix and every expert of a stack is a matrix of its own, and shards are put
    together. Newton-Schulz runs in bfloat16 as there, on a CPU in float32, because most have no units for
    bfloat16.

    Args:
        lr: peak learning rate of both.
        momentum: decay of the running mean of a matrix's gradient.
        nesterov: look ahead by the gradient itself.
        ns_steps: Newton-Schulz iterations.
        weight_decay: decoupled, of what parts declare as decayed.
        betas: of AdamW.
        eps: of AdamW.

    Raises:
        ValueError: a knob is out of range.

    Source: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon); the scale of updates is that of Liu et al.
        2025 (arXiv 2502.16982), section 2.2.
    """

    def __init__(
        self,
        *,
        lr: float,
        momentum: float,
        nesterov: bool,
        ns_steps: int,
        weight_decay: float,
        betas: Sequence[float],
        eps: float,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"optim=muon: optim.momentum={momentum} must be at least 0 and below 1")
        if not 1 <= ns_steps < 100:
            raise ValueError(f"optim=muon: optim.ns_steps={ns_steps} must be at least 1 and below 100")
        self.lr, self.weight_decay = lr, weight_decay
        self.matrix = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
        self.ns_steps = ns_steps
        self.betas, self.eps = check_knobs(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay), eps

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Matrices first, the others behind them; of both, what decays first."""
        matrices = [own for own in parameters if own.role is Role.MATRIX]
        rest = [own for own in parameters if own.role is not Role.MATRIX]
        muon = MatrixMuon(matrices, weight_decay=self.weight_decay, knobs=self.matrix)
        decayed_and_rest = groups(rest, weight_decay=self.weight_decay)
        adamw = torch.optim.AdamW(decayed_and_rest, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)
        return Combined([muon, adamw])

    def state_bytes(self, parameter: Declared) -> int:
        """One moment of a matrix, two of anything else."""
        each = MOMENT_BYTES if parameter.role is Role.MATRIX else 2 * MOMENT_BYTES
        return each * parameter.parameter.numel()

    def flops(self, parameter: Declared) -> float:
        """Newton-Schulz: for an m x n matrix X with m <= n, the products X X^T, its square, and of both with X.

        As on one device: that others repeat it is seen in seconds.
        """
        if parameter.role is not Role.MATRIX:
            return 0
        sides = (sorted(shape) for shape in parameter.matrices())
        return sum(self.ns_steps * (4 * m * m * n + 2 * m**3) for m, n in sides)


class MatrixMuon(OfMatrices):
    """The part of matrices, with the knobs of `Muon`."""

    def update(self, parameter: Parameter, grad: Tensor, group: dict[str, Any]) -> None:
        """Move one parameter; of several devices each is given its part."""
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        mean = state["momentum_buffer"].lerp_(grad, 1 - group["momentum"])
        update = gathered(grad.lerp(mean, group["momentum"]) if group["nesterov"] else mean.clone())
        for matrix in self.declared[parameter].split(update):
            scale = RMS * math.sqrt(max(matrix.shape[-2:]))
            matrix.copy_(orthogonal(matrix, group["ns_steps"])).mul_(scale)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(part(update, parameter), alpha=-group["lr"])


def orthogonal(
    matrix: Float[Tensor, "*stack rows columns"], steps: int, dtype: torch.dtype | None = None
) -> Float[Tensor, "*stack rows columns"]:
    """Newton-Schulz: the singular vectors of a matrix, or of each in a stack, with singular values near one.

    Args:
        matrix: any.
        steps: iterations; after 5 the singular values lie between about 0.7 and 1.2, if they were not tiny.
        dtype: to compute in; None for bfloat16, or on a CPU that of the matrix.
    """
    wide = matrix.shape[-2] <= matrix.shape[-1]
    x = (matrix if wide else matrix.mT).reshape(-1, *sorted(matrix.shape[-2:]))
    x = x.to(dtype or (x.dtype if x.is_cpu else torch.bfloat16))
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=LEAST_NORM)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return (x if wide else x.mT).reshape(matrix.shape)
