"""Hydra's composition of many runs, without finding and merging the same files for each of them.

Hydra takes a sixth of a second to compose one run, and the runs of a sweep are made of few different words. So each
word that chooses an option is composed once beside those that were typed for all runs. Where the options of a run
change different top-level settings, they are put together; where they do not, Hydra composes them. Plain values are
set in a copy, as Hydra sets them.
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

from algoprog.config import OF_THE_SWEEP
from algoprog.overrides import parse, subject

Compose = Callable[[list[str]], DictConfig]
"""Hydra's composition of the words of one run, without its own part and the sweep's."""

REMEMBERED = 256
"""Compositions of a sweep that are kept: about a tenth of a megabyte each."""


def composition(config: DictConfig, loader: ConfigLoader) -> Compose:
    """Hydra's composition of the runs of a sweep.

    Args:
        config: the composed configuration of the whole sweep.
        loader: Hydra's.
    """
    groups = frozenset(loader.list_groups(""))
    folders = [word for word in config.hydra.overrides.hydra if word.startswith("hydra.searchpath=")]
    typed = [word for word in parse(list(config.hydra.overrides.task)) if _shared(word, groups)]

    @lru_cache(REMEMBERED)
    def whole(words: tuple[str, ...]) -> DictConfig:
        found = loader.load_configuration(config.hydra.job.config_name, [*folders, *words], run_mode=RunMode.RUN)
        with flag_override(found, ["struct", "readonly"], [False, False]):
            for key in OF_THE_SWEEP:
                found.pop(key)
        return found

    of_options = _Options(whole, [word.input_line or "" for word in typed])

    def compose(words: list[str]) -> DictConfig:
        options, values = _taken_apart(words, groups)
        found = copy.deepcopy(of_options(options))
        try:
            for value in values:
                OmegaConf.update(found, value.key_or_group, value.value())
        except OmegaConfBaseException:
            return whole(tuple(words))  # which raises Hydra's own sentence
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


def _shared(word: Override, groups: Collection[str]) -> bool:
    """Whether a word of a sweep chooses one option for all of its runs."""
    return _chooses(word, groups) and not word.is_sweep_override() and subject(word) not in OF_THE_SWEEP


class _Options:
    """Configurations of chosen options, put together from those of each by itself.

    Args:
        whole: Hydra's composition.
        shared: the options that most runs share.
    """

    def __init__(self, whole: Callable[[tuple[str, ...]], DictConfig], shared: Sequence[str]) -> None:
        self.whole, self.shared = whole, tuple(shared)
        self.alone: dict[str, dict[str, Any] | None] = {}
        self.trusted: bool | None = None

    def __call__(self, options: tuple[str, ...]) -> DictConfig:
        """The configuration of these options; nobody may change it."""
        changed = self._pieces(options)
        if changed is None or self.trusted is False:
            return self.whole(options)
        found = self._together(changed)
        if self.trusted is None:  # one of them is held against Hydra's own composition
            self.trusted = _raw(self.whole(options)) == _raw(found)
            return self.whole(options)
        return found

    def _pieces(self, options: tuple[str, ...]) -> list[dict[str, Any]] | None:
        """What each option changes by itself; None where that does not add up to all of them, or is no gain."""
        own = [option for option in options if option not in self.shared]
        if len(own) < 2 or len(own) + len(self.shared) != len(options):
            return None
        pieces = []
        for option in own:
            piece = self._piece(option)
            if piece is None:
                return None
            pieces.append(piece)
        keys = [key for piece in pieces for key in piece]
        return pieces if len(set(keys)) == len(keys) else None

    def _piece(self, option: str) -> dict[str, Any] | None:
        """The top-level settings that an option changes, its own always among them; None if it needs others."""
        if option not in self.alone:
            try:
                found = self.whole((*self.shared, option))
            except HydraException:
                self.alone[option] = None
                return None
            before, after = _raw(self.whole(self.shared)), _raw(found)
            (parsed,) = parse([option])
            keys = {key for key in after if after[key] != before.get(key)} | {subject(parsed)}
            lost = before.keys() - after.keys()
            nodes = {key: found._get_node(key) if key in found else None for key in keys}
            self.alone[option] = None if lost else nodes
        return self.alone[option]

    def _together(self, pieces: list[dict[str, Any]]) -> DictConfig:
        found = copy.deepcopy(self.whole(self.shared))
        with flag_override(found, "struct", False):
            for piece in pieces:
                for key, node in piece.items():
                    if node is not None:
                        found[key] = node
        return found


def _raw(cfg: DictConfig) -> dict[str, Any]:
    """The configuration before anything in it is resolved."""
    container = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
