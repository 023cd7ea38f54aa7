"""Hydra without what it does the same each time: reading its files again, and a table that nobody looks into.

It composes thousands of command lines in a session of the tests, each in a third of a second; so half of that is saved.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig

MOST_REMEMBERED = 200
"""Compositions, of about a megabyte each."""


@cache
def quicken() -> None:
    """Make Hydra quick in this process and in those that are forked from it."""
    Plugins.instance()  # which loads those that follow
    for scheme in ("file", "pkg"):
        source = SourcesRegistry.instance().resolve(scheme)
        source.load_config = _read_once(source.load_config)
    defaults_list._create_interpolation_map = _only_for_interpolations(defaults_list._create_interpolation_map)
    ConfigLoaderImpl.load_configuration = _composed_once(ConfigLoaderImpl.load_configuration)


def _read_once(read: Callable[[Any, str], ConfigResult]) -> Callable[[Any, str], ConfigResult]:
    known: dict[tuple[str, str, int], ConfigResult] = {}

    def load_config(source: ConfigSource, config_path: str) -> ConfigResult:
        file = Path(source.path, source._normalize_file_name(config_path))
        key = (source.path, config_path, file.stat().st_mtime_ns if file.exists() else 0)
        if key not in known:
            known[key] = read(source, config_path)
        found = known[key]
        return replace(found, config=copy.deepcopy(found.config), header=dict(found.header))

    return load_config


def _only_for_interpolations(create: Callable[..., DictConfig]) -> Callable[..., DictConfig | None]:
    def create_interpolation_map(overrides: Any, defaults: list[Any], self_added: bool) -> DictConfig | None:
        needed = any(default.is_interpolation() for default in defaults)
        return create(overrides, defaults, self_added) if needed else None

    return create_interpolation_map


def _composed_once(compose: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    known: dict[Any, DictConfig] = {}

    def load_configuration(loader: ConfigLoaderImpl, config_name: str, overrides: list[str], **how: Any) -> DictConfig:
        folders = tuple(folder.path.removeprefix("file://") for folder in loader.get_search_path().get_path())
        asked = (folders, config_name, tuple(overrides), tuple(sorted(how.items())))
        if asked not in known:
            if len(known) == MOST_REMEMBERED:
                known.clear()
            known[asked] = compose(loader, config_name, overrides, **how)
        return copy.deepcopy(known[asked])

    return load_configuration
