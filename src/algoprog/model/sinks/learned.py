"""Learned sinks: a place to look that gives nothing."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from algoprog.model.init import Init
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site
from algoprog.model.interface.softmax import Sinks


class LearnedSinks(Sinks):
    """One more logit a head in the softmax, without a value, so that a head may attend to nothing; zero at first.

    Args:
        site: where it stands.

    Source: OpenAI 2025 (gpt-oss, arXiv 2508.10925), section 2.2; Xiao et al. 2023 (arXiv 2309.17453), section 3.3.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.logit = Parameter(torch.zeros(site.dims.n_heads))

    @property
    def logits(self) -> Float[Tensor, " heads"] | None:
        """Of each head."""
        return self.logit

    def parameters_by_role(self) -> Iterable[Declared]:
        """One number a head."""
        yield vector(self.logit)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
