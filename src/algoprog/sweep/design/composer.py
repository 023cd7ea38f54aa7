"""The resolved configurations of many runs, without composing each of them from its files.

Hydra takes a sixth of a second to compose one run. The runs of a sweep are made of few different words, so each word is
composed once beside those that all runs share; where the words of a run change different top-level settings, its
configuration is put together from theirs. Where they do not, Hydra composes the run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from algoprog import build
from algoprog.config import OF_THE_SWEEP
from algoprog.hydra_mistakes import hydra_sentence
from algoprog.overrides import parse, subject

Compose = Callable[[list[str]], DictConfig]
"""Hydra's composition of the words of one run, without its own part and the sweep's."""


REMEMBERED = 256
"""Compositions of a sweep that are kept: about a tenth of a megabyte each."""


def composition(config: DictConfig, loader: ConfigLoader) -> Compose:
    """Hydra's composition of the runs of a sweep.

    Nearly all of its time goes into finding and merging the files of the chosen options. So options that it has put
    together lately are not put together again: plain values are set in a copy, as Hydra sets them.

    Args:
        config: the composed configuration of the whole sweep.
        loader: Hydra's.
    """
    groups = frozenset(loader.list_groups(""))
    folders = [word for word in config.hydra.overrides.hydra if word.startswith("hydra.searchpath=")]

    @lru_cache(REMEMBERED)
    def remembered(words: tuple[str, ...]) -> DictConfig:
        found = loader.load_configuration(config.hydra.job.config_name, [*folders, *words], run_mode=RunMode.RUN)
        with flag_override(found, ["struct", "readonly"], [False, False]):
            for key in OF_THE_SWEEP:
                found.pop(key)
        return found

    def compose(words: list[str]) -> DictConfig:
        options, values = _taken_apart(words, groups)
        found = copy.deepcopy(remembered(options))
        try:
            for value in values:
                OmegaConf.update(found, value.key_or_group, value.value())
        except OmegaConfBaseException:
            return remembered(tuple(words))  # which raises Hydra's own sentence
        return found

    return compose


def _taken_apart(words: Sequence[str], groups: Collection[str]) -> tuple[tuple[str, ...], list[Override]]:
    """The words that choose options, and those that set plain values; the order counts among the latter alone.

    Words that add or delete may depend on any before them: beside such a word all are left to Hydra.
    """
    parsed = parse(list(words))
    chosen = [_chooses(word, groups) for word in parsed]
    plain = all(
        choice or (word.type is OverrideType.CHANGE and word.package is None and not word.is_sweep_override())
        for word, choice in zip(parsed, chosen, strict=True)
    )
    if not plain:
        return tuple(words), []
    options = tuple(text for text, choice in zip(words, chosen, strict=True) if choice)
    return options, [word for word, choice in zip(parsed, chosen, strict=True) if not choice]


def _chooses(word: Override, groups: Collection[str]) -> bool:
    """Whether a word chooses an option, and does not set the knobs of one."""
    return (word.key_or_group in groups or "/" in word.key_or_group) and not isinstance(word.value(), dict)


class Composer:
    """Resolved configurations by the words of their runs."""

    def __init__(self, compose: Compose, jobs: Sequence[Sequence[str]]) -> None:
        """Find what the runs share.

        Args:
            compose: Hydra's composition.
            jobs: the words of the runs that will be asked for.
        """
        self.compose = compose
        words = [set(job) for job in jobs]
        common = set.intersection(*words) if words else set()
        self.common = [word for word in jobs[0] if word in common] if jobs else []
        self.base: DictConfig | None = None
        self.alone: dict[str, dict[str, Any] | None] = {}
        self.resolved: dict[tuple[str, ...], dict[str, Any]] = {}
        self.trusted: bool | None = None
        self.seed_alone: bool | None = None

    def __call__(self, job: Sequence[str]) -> dict[str, Any]:
        """The configuration of one run, as `build.resolve` gives it; runs share its parts, so nobody may change it.

        Raises:
            ValueError: the words do not compose, or a value is missing.
        """
        seedless = tuple(word for word in job if not word.startswith("seed="))
        if len(seedless) == len(job) or not self._seed_stands_alone():
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
        changed = self._pieces(job)
        if changed is None or self.trusted is False:
            return self._whole(job)
        found = self._together(changed)
        if self.trusted is None and len(changed) > 1:  # one of them is held against Hydra's own composition
            whole = self._whole(job)
            self.trusted = _raw(whole) == _raw(found)
            return whole
        return found

    def _pieces(self, job: list[str]) -> list[dict[str, Any]] | None:
        """What each own word changes by itself; None where that does not add up to the run."""
        own = [word for word in job if word not in self.common]
        if len(own) + len(self.common) != len(job):
            return None
        pieces = []
        for word in own:
            piece = self._piece(word)
            if piece is None:
                return None
            pieces.append(piece)
        keys = [key for piece in pieces for key in piece]
        return pieces if len(set(keys)) == len(keys) else None

    def _piece(self, word: str) -> dict[str, Any] | None:
        """The top-level settings that a word changes, its own always among them; None if it needs others beside it."""
        if word not in self.alone:
            try:
                found = self._whole([*self.common, word])
            except ValueError:
                self.alone[word] = None
                return None
            before, after = _raw(self._shared()), _raw(found)
            (parsed,) = parse([word])
            keys = {key for key in after if after[key] != before.get(key)} | {subject(parsed)}
            lost = before.keys() - after.keys()
            self.alone[word] = None if lost else {key: found._get_node(key) if key in found else None for key in keys}
        return self.alone[word]

    def _together(self, pieces: list[dict[str, Any]]) -> DictConfig:
        found = copy.deepcopy(self._shared())
        OmegaConf.set_struct(found, False)
        for piece in pieces:
            for key, node in piece.items():
                if node is not None:
                    found[key] = node
        return found

    def _shared(self) -> DictConfig:
        """The configuration of the words that all runs share, without Hydra's own part."""
        if self.base is None:
            self.base = self._whole(self.common)
        return self.base

    def _whole(self, job: list[str]) -> DictConfig:
        try:
            return self.compose(job)
        except HydraException as error:
            raise ValueError(hydra_sentence(error)) from error

    def _seed_stands_alone(self) -> bool:
        """Whether no other setting is computed from the seed."""
        if self.seed_alone is None:
            self.seed_alone = "${seed" not in str(_raw(self._shared()))
        return self.seed_alone


def _raw(cfg: DictConfig) -> dict[str, Any]:
    """The configuration before anything in it is resolved."""
    container = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
