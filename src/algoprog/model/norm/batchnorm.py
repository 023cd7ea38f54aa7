"""Batch normalisation that does not look ahead."""

from collections.abc import Iterable
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from algoprog.model.init import Init
from algoprog.model.interface.part import Norm
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site


class BatchNorm(Norm):
    """Zero mean and unit variance of every feature over many positions, then a gain and a bias.

    In training, statistics at a position are over that position and those before it, in all sequences of the batch: no
    position sees a later one, and sequences see each other. In evaluation they are running means over steps of those at
    the last position, which are over the whole batch as in torch's batch normalisation: no sequence sees another. The
    first steps are averaged evenly, until one weighs `momentum`. Vectors without positions, as inside of a recurrence,
    are a batch of one position each.

    Args:
        site: where it stands.
        eps: added to the variance.
        momentum: weight of a step in the running means.

    Raises:
        ValueError: a knob is out of range.

    Source: Ioffe and Szegedy 2015 (arXiv 1502.03167), algorithms 1 and 2; statistics of the past alone are our own.
    """

    of_whole_batches: ClassVar[bool] = True

    wide: ClassVar[tuple[str, ...]] = ("running_mean", "running_var", "seen")

    running_mean: Tensor
    running_var: Tensor
    seen: Tensor

    def __init__(self, site: Site, *, eps: float, momentum: float) -> None:
        super().__init__(site)
        if eps < 0:
            raise ValueError(f"eps={eps} of norm=batchnorm must be at least 0")
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum={momentum} of norm=batchnorm must be above 0 and at most 1")
        self.eps, self.momentum = eps, momentum
        self.gain = Parameter(torch.ones(site.width))
        self.bias = Parameter(torch.zeros(site.width)) if site.dims.bias else None
        self.register_buffer("running_mean", torch.zeros(site.width))
        self.register_buffer("running_var", torch.ones(site.width))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Normalise every feature."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32)) - self.running_mean  # near zero: squares cancel less
        shift, variance = self._past(wide) if self.training else (0.0, self.running_var)
        normed = self.gain * ((wide - shift) * torch.rsqrt(variance + self.eps))
        return (normed if self.bias is None else normed + self.bias).to(self.gain.dtype)

    def _past(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance up to every position; the running means take up the last ones."""
        rows = (x.unsqueeze(-2) if x.ndim == 2 else x).flatten(0, -3)
        counts = torch.arange(1, rows.shape[1] + 1, device=x.device).unsqueeze(-1)
        mean = rows.mean(dim=0).cumsum(dim=0) / counts
        variance = (rows.square().mean(dim=0).cumsum(dim=0) / counts - mean.square()).clamp(min=0)
        if torch.is_grad_enabled():
            self._take_up(mean[-1].detach(), variance[-1].detach(), rows.shape[0] * rows.shape[1])
        return mean, variance

    def _take_up(self, mean: Tensor, variance: Tensor, n: int) -> None:
        self.seen += 1
        new = (1 / self.seen).clamp(min=self.momentum)
        self.running_mean += new * mean  # which is relative to it
        self.running_var.lerp_(variance * (n / max(1, n - 1)), new)

    @property
    def is_identity(self) -> bool:
        """It is not."""
        return False

    def parameters_by_role(self) -> Iterable[Declared]:
        """Gain and bias."""
        yield vector(self.gain)
        if self.bias is not None:
            yield vector(self.bias)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
