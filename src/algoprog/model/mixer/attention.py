"""Attention, of the kind that its own axis says: the baseline."""

from algoprog.model.interface.mixer import Mixer
from algoprog.model.interface.site import Parts, Site


def chosen_attention(site: Site, parts: Parts) -> Mixer:
    """The option of the axis `attention`.

    Source: Vaswani et al. 2017 (arXiv 1706.03762).
    """
    attention: Mixer = parts["attention"](site, parts)
    return attention
