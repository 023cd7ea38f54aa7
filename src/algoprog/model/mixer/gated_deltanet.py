"""A recurrence whose memory is corrected, in every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from algoprog.model.interface.site import Parts, Site
from algoprog.model.recurrence.gated_delta import GatedDelta


class GatedDeltaNet(GatedDelta):
    """The gated delta rule in the place of attention, in every layer.

    Args:
        site: where it stands; there are as many heads as `dims.n_heads`.
        parts: of its layer; it needs none.
        key_width: width of a key over that of an attention head; with half of it, and values as wide as a head, the
            matrices are as large as those of dense attention.
        value_width: width of a value over that of an attention head.
        conv_width: positions that the convolution sees, its own the last.

    Raises:
        ValueError: a knob leaves no feature or no position.

    Source: Yang et al. 2024 (arXiv 2412.06464), with the initial forgetting of the authors' code; gate, norm and
        convolution as in Qwen3-Next.
    """

    without: ClassVar[Mapping[str, str]] = {
        "attention": "which looks at no keys of earlier positions",
        "pos": "whose recurrence knows the order",
        "kernel": "which has no softmax to compute",
        "qk_norm": "whose keys have length 1 by definition",
        "output_gate": "which has a gate of its own",
        "sinks": "which has no softmax to look aside from",
        "softcap": "which has no softmax to bound",
    }

    def __init__(self, site: Site, parts: Parts, *, key_width: float, value_width: float, conv_width: int) -> None:
        super().__init__(site, key_width=key_width, value_width=value_width, conv_width=conv_width)
