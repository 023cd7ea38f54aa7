"""No positions: the order is known only through the causal mask."""

from algoprog.model.interface.part import BiasesNothing, EmbedsNothing, NoParameters, Position, TurnsNothing


class NoPosition(NoParameters, EmbedsNothing, TurnsNothing, BiasesNothing, Position):
    """Every hook is the identity.

    Source: Haviv et al. 2022 (arXiv 2203.16634).
    """
