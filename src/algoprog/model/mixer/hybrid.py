"""Layers of a recurrence with attention in every few of them."""

from __future__ import annotations

from algoprog.model.gated_delta import GatedDelta
from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.site import Parts, Site


def hybrid(site: Site, parts: Parts, *, every: int, key_width: float, value_width: float, conv_width: int) -> Mixer:
    """Attention of the axis `attention` in the last layer and every `every`-th before it, else the gated delta rule.

    Of a number of layers that `every` divides these are the last of each `every`, as in Qwen3-Next.

    Args:
        site: where it stands.
        parts: of its layer.
        every: layers to one of attention.
        key_width: of the recurrence, as in `mixer=gated_deltanet`.
        value_width: likewise.
        conv_width: likewise.

    Raises:
        ValueError: no layer is left to the recurrence, or a knob leaves no feature or position.

    Source: Qwen Team 2025 (Qwen3-Next); Lieber et al. 2024 (Jamba, arXiv 2403.19887).
    """
    if every < 2:
        raise ValueError(f"mixer=hybrid: mixer.every={every} leaves attention alone: use 2, or mixer=attention")
    if site.n_layers < 2:
        raise ValueError("mixer=hybrid has attention alone in model.n_layers=1: use two or more, or mixer=attention")
    assert site.layer is not None
    if (site.n_layers - 1 - site.layer) % every == 0:
        attention: Mixer = parts["attention"](site, parts)
        return attention
    return GatedDelta(site, key_width=key_width, value_width=value_width, conv_width=conv_width)
