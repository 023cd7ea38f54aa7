"""What an option costs: by the closed forms of its parts, nothing is trained or allocated."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf, flag_override

from algoprog import build
from algoprog.catalogue.options import PLACES, Option, configured
from algoprog.compose import compose
from algoprog.model.dims import Dims

VOCABULARY = 50_257
"""GPT-2's, whatever the data."""

BESIDE = ("norm=ln", "norm@final_norm=ln")
"""What stands beside an option: the default baseline with layer norm, which the placement of norms needs."""

DIMS = ("d_model", "n_layers", "n_heads", "seq_len", "dropout", "bias")


@dataclass(frozen=True)
class Costs:
    """Of the default baseline with layer norm and one option changed, at the context of the model.

    `flops` are those of training on one token, forward and backward; `optimizer_flops` those of the optimizer's matrix
    products in a step; `optimizer_bytes` what it keeps between steps in float32; `state_bytes` what generating keeps of
    one sequence, such as keys and values.
    """

    n_params: int
    n_active_params: int
    flops: float
    optimizer_flops: float
    optimizer_bytes: int
    state_bytes: int

    def over(self, other: Costs) -> dict[str, float]:
        """Each as a multiple of another's; costs that the other does not have are left out."""
        mine, theirs = vars(self), vars(other)
        return {name: value / theirs[name] for name, value in mine.items() if theirs[name]}


def costs(option: Option, model: str) -> Costs:
    """What an option costs at a model of `conf/model/`.

    Raises:
        ValueError: the option cannot be had at this size, with the sentence that training would stop with.
    """
    return _priced(model, option.axis, option.name)


def baseline_costs(model: str) -> Costs:
    """What the baseline costs that options are held against."""
    return _priced(model, None, None)


@cache
def _priced(model: str, axis: str | None, name: str | None) -> Costs:
    config = configuration(model, axis, name)
    gpt = build.skeleton(config, dims(config))
    optimizer, parameters = build.construct(config, "optim"), gpt.parameters_by_role()
    return Costs(
        n_params=gpt.n_params(),
        n_active_params=gpt.n_active_params(),
        flops=gpt.flops_per_token(),
        optimizer_flops=sum(optimizer.flops(parameter) for parameter in parameters),
        optimizer_bytes=sum(optimizer.state_bytes(parameter) for parameter in parameters),
        state_bytes=gpt.state_bytes(gpt.dims.seq_len),
    )


def dims(config: dict[str, Any]) -> Dims:
    """The sizes of a configuration, at GPT-2's vocabulary."""
    return Dims(**{size: config["model"][size] for size in DIMS}, vocab_size=VOCABULARY)


def configuration(model: str, axis: str | None, name: str | None, beside: tuple[str, ...] = BESIDE) -> dict[str, Any]:
    """The default baseline with one option changed, resolved.

    Args:
        model: of `conf/model/`.
        axis: that is changed; None for none.
        name: of the option; None for none.
        beside: words that stand beside it.
    """
    composed = copy.deepcopy(_composed(model, beside))
    if axis is not None and name is not None:
        with flag_override(composed, ["struct", "readonly"], [False, False]):
            composed[axis] = OmegaConf.create(configured(PLACES[axis], name))
    return build.resolve(composed)


@cache
def _composed(model: str, beside: tuple[str, ...]) -> DictConfig:
    return compose([f"model={model}", *beside])
