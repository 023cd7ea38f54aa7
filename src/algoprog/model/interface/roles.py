"""What the parameters of a part are for: all that an optimizer needs to know of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor, nn


class Role(StrEnum):
    """What a parameter does."""

    MATRIX = "matrix"  # maps vectors to vectors
    EMBEDDING = "embedding"  # one vector a token or a position; tied to the head it is still an embedding
    HEAD = "head"  # an output matrix of its own
    VECTOR = "vector"  # biases, gains, and filters of single features
    ROUTER = "router"  # scores experts


@dataclass(frozen=True, eq=False)
class Declared:
    """A parameter as its part declares it.

    Args:
        parameter: itself; of more than two dimensions, the last two are matrices and the others count them.
        role: what it is for.
        decayed: whether weight decay acts on it.
        active: share of it that one token uses; below 1 for experts.
        rows: rows of every matrix that it holds, one below the other: several where projections are fused.
        rate: factor of the learning rate, which the rule of initial weights may give a role.
    """

    parameter: nn.Parameter
    role: Role
    decayed: bool
    active: float
    rows: tuple[int, ...]
    rate: float = 1.0

    def matrices(self) -> Iterator[tuple[int, int]]:
        """Rows and columns of every matrix that it holds; none of a vector."""
        if self.parameter.ndim < 2:
            return
        for _ in range(self.parameter.shape[:-2].numel()):
            yield from ((rows, self.parameter.shape[-1]) for rows in self.rows)

    def split(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Something of the parameter's shape, such as its gradient, as views of matrices that are not fused."""
        return tensor.split(self.rows, dim=-2)


def matrix(
    weight: Tensor, *, role: Role = Role.MATRIX, active: float = 1.0, fused: Sequence[int] | None = None
) -> Declared:
    """A decayed matrix, or several fused one below the other with `fused` rows each.

    Raises:
        AssertionError: the rows are not those of the weight, or it is no parameter.
    """
    assert isinstance(weight, nn.Parameter)
    rows = tuple(fused) if fused is not None else (weight.shape[-2],)
    assert sum(rows) == weight.shape[-2]
    return Declared(weight, role, decayed=True, active=active, rows=rows)


def vector(weight: nn.Parameter, *, active: float = 1.0) -> Declared:
    """A bias or gain, which is not decayed."""
    return Declared(weight, Role.VECTOR, decayed=False, active=active, rows=())


def linear(layer: nn.Linear, *, fused: Sequence[int] | None = None) -> Iterator[Declared]:
    """Matrix and, if there is one, bias of a linear layer."""
    yield matrix(layer.weight, fused=fused)
    if layer.bias is not None:
        yield vector(layer.bias)
