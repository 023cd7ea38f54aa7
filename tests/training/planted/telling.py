"""An MLP with a loss of its own, a statistic, and a buffer that follows a rule instead of a gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from algoprog.model.interface.context import Context
from algoprog.model.interface.part import Adapting
from algoprog.model.interface.reports import Statistic
from algoprog.model.interface.site import Site
from algoprog.model.mlp.gelu import GeluMlp

GROUPS = 4


class TellingMlp(GeluMlp, Adapting):
    """Counts which group of features is the largest, and lifts the groups that rarely are."""

    def __init__(self, site: Site, *, expansion: float) -> None:
        super().__init__(site, expansion=expansion)
        self.register_buffer("lift", torch.zeros(GROUPS))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        update = super().forward(x, context)
        scores = update.unflatten(-1, (GROUPS, -1)).mean(dim=-1) + self.lift
        load = torch.nn.functional.one_hot(scores.argmax(dim=-1), GROUPS).flatten(0, 1).sum(dim=0)
        context.report(self, "load", load.double())
        context.report(self, "highest", scores.detach().max())
        context.add_loss(0.1 * update.square().mean(dim=(1, 2)).mean())
        return update + self.lift.repeat_interleave(x.shape[-1] // GROUPS)

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "load": Statistic((GROUPS,), "sum", _shares),
            "highest": Statistic((), "max", lambda total: {"highest": float(total)}),
        }

    def adapt(self, statistics: Mapping[str, Tensor]) -> None:
        load = statistics["load"]
        self.lift += 1e-3 * (load.mean() - load).sign().to(self.lift)


def _shares(load: Tensor) -> Mapping[str, float]:
    return {"busiest": float(load.max() / load.sum()), "counted": float(load.sum())}
