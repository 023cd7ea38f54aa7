"""GPT-2's initial weights: the baseline."""

from algoprog.model.init import Gpt2Rule


class Gpt2(Gpt2Rule):
    """N(0, 0.02^2), and for what writes the residual stream N(0, 0.02^2 / (2 n_layers)).

    Source: Radford et al. 2019 (GPT-2), section 2.3.
    """
