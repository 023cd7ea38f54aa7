"""Several residual streams, which every layer reads, mixes and writes by learned weights."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.roles import Declared, Role, matrix, vector
from algoprog.model.interface.site import Site, Work
from algoprog.model.interface.wiring import LeavesLayers, LeavesValues, Skip, Stream, Update

SUBLAYERS = 2
"""Of a layer: mixer and MLP."""

SCALE = 0.01
"""Of what is read from the streams themselves, at first."""


class HyperSkip(LeavesLayers, LeavesValues, Skip):
    """Hyper-connections: attention and MLP read a mixture of `streams` residual streams, and write all of them.

    Every stream begins as the embedding. With streams H, x = a H is what a sublayer is given, and R H + b f(x) are the
    streams behind it; at first sublayer k is given stream k modulo `streams`, R is the identity and b is 1, so that
    the model begins as that without. If `dynamic`, s tanh(W norm(H)) is added to all three, with a norm that has no
    gain, W zero at first and s of 0.01. The paper sums the streams in front of the final norm, which takes out a
    factor; here they are averaged, so that nothing begins otherwise without such a norm either. Matrices
    begin as the axis `init` says, where the paper enlarges those that write the streams by the root of their number.

    Its FLOPs are those of the mixtures and of W; what is written is scaled elementwise.

    Args:
        site: of the whole model.
        streams: of residuals.
        dynamic: whether the weights depend on what the streams hold.

    Raises:
        ValueError: there is no stream.

    Source: Zhu et al. 2024 (arXiv 2409.19606), equations 1 to 14 and algorithm 2.
    """

    of_updates: ClassVar[bool] = True

    def __init__(self, site: Site, *, streams: int, dynamic: bool) -> None:
        super().__init__(site)
        if streams < 1:
            raise ValueError(f"skip=hyper: skip.streams={streams} must be at least 1")
        self.streams, self.dynamic = streams, dynamic
        n, sublayers = streams, SUBLAYERS * site.n_layers
        read = torch.eye(n)[torch.arange(sublayers) % n]
        self.mixing = nn.Parameter(torch.cat((read[:, :, None], torch.eye(n).expand(sublayers, n, n)), dim=2))
        self.writing = nn.Parameter(torch.ones(sublayers, n))
        if dynamic:
            self.told = nn.Parameter(torch.zeros(sublayers, n + 2, site.width))
            self.scale = nn.Parameter(torch.full((sublayers, 2), SCALE))

    def opened(self, x: Float[Tensor, "batch new d_model"]) -> Float[Tensor, "batch new streams d_model"]:
        """The same in every stream."""
        return x.unsqueeze(-2).expand(*x.shape[:-1], self.streams, x.shape[-1])

    def closed(self, x: Float[Tensor, "batch new streams d_model"]) -> Float[Tensor, "batch new d_model"]:
        """Their mean."""
        return x.mean(dim=-2)

    def joined(self, layer: int, place: int, x: Stream, update: Update) -> Stream:
        """All streams read, mixed and written."""
        sublayer = SUBLAYERS * layer + place
        # Streams keep their precision where products have less.
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            mixing, writing = self._weights(sublayer, x)
            rows = mixing.expand(*x.shape[:-1], -1).flatten(0, 1)
            mixed = torch.bmm(rows.mT, x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return mixed[..., 1:, :] + writing.unsqueeze(-1) * update(mixed[..., 0, :]).unsqueeze(-2)

    def flops(self, work: Work) -> float:
        """A mixture that is read and one for each stream; and what is told by each of them."""
        products = self.streams + 1 + (self.streams + 2 if self.dynamic else 0)
        return 2 * len(self.mixing) * self.streams * products * self.site.width * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """As many outputs at every width, as those of a router; the rest weighs whole streams."""
        yield vector(self.mixing)
        yield vector(self.writing)
        if self.dynamic:
            yield matrix(self.told, role=Role.ROUTER)
            yield vector(self.scale)

    def init_weights(self, init: Init) -> None:
        """They have been set."""

    def _weights(
        self, sublayer: int, x: Stream
    ) -> tuple[Float[Tensor, "*rows streams mixtures"], Float[Tensor, "*rows streams"]]:
        """Of what is read and kept of every stream, and of what is written to it."""
        mixing, writing = self.mixing[sublayer], self.writing[sublayer]
        if not self.dynamic:
            return mixing, writing
        normed = F.layer_norm(x, x.shape[-1:])
        told = torch.einsum("...nd,md->...nm", normed, self.told[sublayer]).tanh()
        of_mixing, of_writing = self.scale[sublayer]
        return mixing + of_mixing * told[..., :-1], writing + of_writing * told[..., -1]
