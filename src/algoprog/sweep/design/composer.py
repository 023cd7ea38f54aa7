"""The resolved configurations of many runs, each resolved once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from algoprog import build
from algoprog.overrides import parse, subject
from algoprog.refusals.by_hydra import hydra_sentence
from algoprog.sweep.design.composition import Compose


class Composer:
    """Resolved configurations by the words of their runs.

    Args:
        compose: Hydra's composition.
    """

    def __init__(self, compose: Compose) -> None:
        self.compose = compose
        self.resolved: dict[tuple[str, ...], dict[str, Any]] = {}
        self.seed_alone: bool | None = None

    def __call__(self, job: Sequence[str]) -> dict[str, Any]:
        """The configuration of one run, as `build.resolve` gives it; runs share its parts, so nobody may change it.

        Raises:
            ValueError: the words do not compose, or a value is missing.
        """
        seedless = tuple(word for word in job if not word.startswith("seed="))
        if len(seedless) == len(job) or not self._seed_stands_alone(list(seedless)):
            return self._resolved(tuple(job))
        (seed,) = [word for word in parse(list(job)) if subject(word) == "seed"][-1:]
        if not isinstance(seed.value(), int) or isinstance(seed.value(), bool):
            return self._resolved(tuple(job))
        return {**self._resolved(seedless), "seed": seed.value()}

    def _resolved(self, job: tuple[str, ...]) -> dict[str, Any]:
        if job not in self.resolved:
            self.resolved[job] = build.resolve(self._composed(list(job)))
        return self.resolved[job]

    def _composed(self, job: list[str]) -> DictConfig:
        try:
            return self.compose(job)
        except HydraException as error:
            raise ValueError(hydra_sentence(error)) from error

    def _seed_stands_alone(self, job: list[str]) -> bool:
        """Whether no other setting is computed from the seed."""
        if self.seed_alone is None:
            self.seed_alone = "${seed" not in str(OmegaConf.to_container(self._composed(job), resolve=False))
        return self.seed_alone
