"""The configuration outside of `train.py`: for commands, plans and tests."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig

from algoprog.config import conf_dir
from algoprog.overrides import refuse_odd_choices
from algoprog.refusals.by_hydra import hydra_sentence


def compose(overrides: Sequence[str]) -> DictConfig:
    """What `python train.py OVERRIDES` would run.

    Raises:
        ValueError: an override names no option or no setting, with Hydra's sentence on what there is.
    """
    refuse_odd_choices(overrides)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            return hydra_compose("config", list(overrides))
        except HydraException as error:
            raise ValueError(hydra_sentence(error)) from error
