"""Layers of a recurrence with attention in every few of them."""

from __future__ import annotations

from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.site import Parts, Site
from algoprog.model.recurrence.gated_delta import GatedDelta, width_of
from algoprog.model.recurrence.mamba import StateSpaceMixer

RECURRENCES = ("gated_deltanet", "mamba2")
"""Those that have keys, values and a convolution over their past, so that the same knobs say how wide they are."""


def hybrid(
    site: Site, parts: Parts, *, every: int, recurrent: str, key_width: float, value_width: float, conv_width: int
) -> Mixer:
    """Attention of the axis `attention` in the last layer and every `every`-th before it, else a recurrence.

    Of a number of layers that `every` divides these are the last of each `every`, as in Qwen3-Next.

    Args:
        site: where it stands.
        parts: of its layer.
        every: layers to one of attention.
        recurrent: gated_deltanet, or mamba2, whose state has an entry for each of a key and whose heads are values.
        key_width: of a head's keys in the recurrence, as in `mixer=gated_deltanet`.
        value_width: of a head's values there.
        conv_width: positions that its convolution sees.

    Raises:
        ValueError: there is no such recurrence, no layer is left to it, or a knob leaves no feature or position.

    Source: Qwen Team 2025 (Qwen3-Next); Lieber et al. 2024 (Jamba, arXiv 2403.19887).
    """
    if recurrent not in RECURRENCES:
        raise ValueError(f"mixer=hybrid: mixer.recurrent={recurrent} must be {' or '.join(RECURRENCES)}")
    if every < 2:
        raise ValueError(f"mixer=hybrid: mixer.every={every} leaves attention alone: use 2, or mixer=attention")
    if site.n_layers < 2:
        raise ValueError("mixer=hybrid has attention alone in model.n_layers=1: use two or more, or mixer=attention")
    assert site.layer is not None
    if (site.n_layers - 1 - site.layer) % every == 0:
        attention: Mixer = parts["attention"](site, parts)
        return attention
    if recurrent == "gated_deltanet":
        return GatedDelta(site, key_width=key_width, value_width=value_width, conv_width=conv_width)
    n_heads, d_head = site.dims.n_heads, site.dims.d_head
    d_state, d_value = width_of("key_width", key_width, d_head), width_of("value_width", value_width, d_head)
    return StateSpaceMixer(site, n_heads, n_heads * d_value, d_state, conv_width)
