"""SOAP: Adam in the eigenbasis of Shampoo's preconditioners, for matrices; everything else by AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared, Role
from algoprog.training.devices.shards import gathered, part
from algoprog.training.optimizer import MOMENT_BYTES, Combined, OfMatrices, Recipe, check_knobs, groups

QR = 8 / 3
"""FLOPs of an orthogonal basis of the columns of an n x n matrix over n^3: Householder's reduction, and Q from it."""


State = dict[str, Tensor]
"""Of one matrix, or of each in a stack: `mean` and `square` of the gradient in the eigenbasis, and for each side what
the bases are taken from and the basis."""


class Soap(Recipe):
    """Adam on gradients turned to the eigenvectors of the running means of G G^T and G^T G, which move slowly.

    Both bases are brought up to date every `every` steps by one power iteration and a QR decomposition; the running
    mean of the gradient turns with them. The first step takes the bases alone and moves no matrix, as in the authors'
    code. Embeddings, the head, routers and vectors get AdamW.

    Args:
        lr: peak learning rate of both.
        betas: of Adam in the eigenbasis and of AdamW; the second is the decay of the preconditioners too.
        every: steps from one basis to the next.
        eps: of both.
        weight_decay: decoupled, of what parts declare as decayed.

    Raises:
        ValueError: a knob is out of range.

    Source: Vyas et al. 2024 (arXiv 2409.11321), algorithms 3 and 4.
    """

    decomposes: ClassVar[bool] = True

    def __init__(self, *, lr: float, betas: Sequence[float], every: int, eps: float, weight_decay: float) -> None:
        self.betas = check_knobs(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        if every < 1:
            raise ValueError(f"optim=soap: optim.every={every} must be at least 1")
        self.lr, self.every, self.eps, self.weight_decay = lr, every, eps, weight_decay

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Matrices first, the others behind them; of both, what decays first."""
        matrices = [own for own in parameters if own.role is Role.MATRIX]
        rest = [own for own in parameters if own.role is not Role.MATRIX]
        knobs = {"lr": self.lr, "betas": self.betas, "every": self.every, "eps": self.eps}
        soap = MatrixSoap(matrices, weight_decay=self.weight_decay, knobs=knobs)
        decayed_and_rest = groups(rest, weight_decay=self.weight_decay)
        adamw = torch.optim.AdamW(decayed_and_rest, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)
        return Combined([soap, adamw])

    def state_bytes(self, parameter: Declared) -> int:
        """Two moments, and of a matrix the preconditioner and the basis of each side."""
        sides = sum(2 * (m * m + n * n) for m, n in parameter.matrices()) if parameter.role is Role.MATRIX else 0
        return MOMENT_BYTES * (2 * parameter.parameter.numel() + sides)

    def flops(self, parameter: Declared) -> float:
        """For an m x n matrix, the mean of a step.

        Every step G G^T and G^T G, the gradient to the eigenbases, the update back: 6 (m^2 n + m n^2). Every `every`
        steps the mean of the gradient to the new bases, 4 (m^2 n + m n^2), and for either side a power iteration and
        QR, (2 + 8/3) n^3.
        """
        if parameter.role is not Role.MATRIX:
            return 0
        return sum(
            6 * (m * m * n + m * n * n) + (4 * (m * m * n + m * n * n) + (2 + QR) * (m**3 + n**3)) / self.every
            for m, n in parameter.matrices()
        )


class MatrixSoap(OfMatrices):
    """The part of matrices, with the knobs of `Soap`."""

    def update(self, parameter: Parameter, grad: Tensor, group: dict[str, Any]) -> None:
        """Move one parameter; of several devices each is given its part."""
        grad = gathered(grad)
        split, state = self.declared[parameter].split(grad), self.state[parameter]
        step = state["step"] = state.get("step", -1) + 1
        update = torch.zeros_like(grad)
        for number, (gradient, moved) in enumerate(zip(split, self.declared[parameter].split(update), strict=True)):
            if not step:
                state[f"matrix_{number}"] = _begun(gradient, group["betas"][1])
                continue
            own: State = state[f"matrix_{number}"]
            moved.copy_(_update_of(own, gradient, step, group))
            own["left"].lerp_(gradient @ gradient.mT, 1 - group["betas"][1])
            own["right"].lerp_(gradient.mT @ gradient, 1 - group["betas"][1])
            if step % group["every"] == 0:
                _turn(own)
        if step:
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.sub_(part(update, parameter), alpha=group["lr"])


def _begun(gradient: Tensor, beta: float) -> State:
    """The bases of the first gradient, under which nothing has been seen."""
    left, right = (1 - beta) * gradient @ gradient.mT, (1 - beta) * gradient.mT @ gradient
    bases = {f"{name}_basis": _eigenvectors(own) for name, own in (("left", left), ("right", right))}
    return {
        "mean": torch.zeros_like(gradient),
        "square": torch.zeros_like(gradient),
        "left": left,
        "right": right,
        **bases,
    }


def _eigenvectors(symmetric: Tensor) -> Tensor:
    """In columns, that of the largest eigenvalue first."""
    return torch.linalg.eigh(symmetric).eigenvectors.flip(-1)


def _update_of(own: State, gradient: Tensor, step: int, group: dict[str, Any]) -> Tensor:
    """Adam's update in the eigenbasis, turned back."""
    left, right, (mean_beta, square_beta) = own["left_basis"], own["right_basis"], group["betas"]
    turned = left.mT @ gradient @ right
    own["mean"].lerp_(turned, 1 - mean_beta)
    own["square"].mul_(square_beta).addcmul_(turned, turned, value=1 - square_beta)
    corrected = (1 - square_beta**step) ** 0.5 / (1 - mean_beta**step)
    return corrected * (left @ (own["mean"] / (own["square"].sqrt() + group["eps"])) @ right.mT)


def _turn(own: State) -> None:
    """New bases by one power iteration; the means turn with them, the squares go with their eigenvectors."""
    mean = own["left_basis"] @ own["mean"] @ own["right_basis"].mT
    for side, dim in (("left", -2), ("right", -1)):
        basis = own[f"{side}_basis"]
        iterated = own[side] @ basis
        order = (basis * iterated).sum(dim=-2).argsort(dim=-1, descending=True)
        own["square"] = own["square"].take_along_dim(order.unsqueeze(-1 if side == "left" else -2), dim=dim)
        own[f"{side}_basis"] = torch.linalg.qr(iterated.take_along_dim(order.unsqueeze(-2), dim=-1)).Q
    own["mean"] = own["left_basis"].mT @ mean @ own["right_basis"]
