"""A selective state space in the place of attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from algoprog.model.interface.site import Parts, Site
from algoprog.model.recurrence.mamba import StateSpaceMixer


class Mamba2(StateSpaceMixer):
    """A selective state space in the place of attention, in every layer: it forgets a share, then adds what is new.

    Args:
        site: where it stands.
        parts: of its layer; it needs none.
        expand: inner width over model width.
        state_width: entries of the state of a feature over the width of an attention head.
        heads: heads over those of the model.
        conv_width: positions that the convolution sees, its own the last.

    Raises:
        ValueError: a knob leaves no feature, head or position, or heads of unequal width.

    Source: Dao and Gu 2024 (arXiv 2405.21060), sections 6 and 7, with one group of keys and queries; initial rates and
        steps of the authors' code.
    """

    without: ClassVar[Mapping[str, str]] = {
        "attention": "which looks at no keys of earlier positions",
        "pos": "whose recurrence knows the order",
        **dict.fromkeys(("kernel", "sinks", "softcap"), "which has no softmax"),
        "qk_norm": "whose keys and queries are shared by its heads",
        "output_gate": "which has a gate of its own",
    }

    def __init__(
        self, site: Site, parts: Parts, *, expand: float, state_width: float, heads: float, conv_width: int
    ) -> None:
        dims = site.dims
        inner = _size("expand", expand, dims.d_model, "feature")
        d_state = _size("state_width", state_width, dims.d_head, "entry of a state")
        n_heads = _size("heads", heads, dims.n_heads, "head")
        if inner % n_heads:
            raise ValueError(
                f"mixer=mamba2: mixer.heads={heads} makes {n_heads} heads, which do not divide the {inner} features of"
                f" mixer.expand={expand}: change one of the two"
            )
        super().__init__(site, n_heads, inner, d_state, conv_width)


def _size(knob: str, share: float, whole: int, unit: str) -> int:
    """As many as a share comes to."""
    size = round(share * whole)
    if size < 1:
        raise ValueError(f"mixer=mamba2: mixer.{knob}={share} leaves no {unit}")
    return size
