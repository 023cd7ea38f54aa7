"""The runs that a command line asks for: its plain words times its design, less what the design leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from algoprog.config import AXES
from algoprog.overrides import parse, subject
from algoprog.sweep.design import Design, read
from algoprog.sweep.design_variants import name, words
from algoprog.variant import baseline, option

Job = list[str]
"""The words that train one run."""


def jobs(
    config: DictConfig, arguments: Sequence[str], params: Mapping[str, str] | None, loader: ConfigLoader
) -> list[Job]:
    """The words of every run asked for, repetitions taken out.

    Args:
        config: the composed configuration of the whole sweep, with its design.
        arguments: the words of the command line.
        params: choices swept by default, from `hydra.sweeper.params`.
        loader: Hydra's, for words such as `variant=glob(*)`.

    Raises:
        ValueError: the design does not make sense, or contradicts the command line.
    """
    typed = _parse(arguments, loader)
    design = read(_with_lists(config, [word for word in typed if subject(word) == "design"]))
    own = [word for word in typed if subject(word) != "design"]
    _check_conflicts(design, own)
    plain = _plain(design, own, params or {}, loader)
    runs = [
        [*plain_job, *zipped, *arm]
        for plain_job in plain
        for zipped in product(*map(_rows, design.zipped))
        for arm in _arm_words(design, config)
    ]
    flat = [[word for part in run for word in ([part] if isinstance(part, str) else part)] for run in runs]
    distinct = list({tuple(job): job for job in flat}.values())
    kept = [job for job in distinct if not _excluded(design, job, config)]
    if not kept:
        raise ValueError("design.exclude leaves out every combination: nothing is left to train")
    return kept


def _parse(words: Sequence[str], loader: ConfigLoader) -> list[Override]:
    try:
        return OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    except HydraException as error:
        raise ValueError(" ".join(str(error).split())) from error


def _with_lists(config: DictConfig, typed: Sequence[Override]) -> Any:
    """The design as composed, with `design.parts.norm=ln,rmsnorm` taken as the list that it means."""
    composed = OmegaConf.create({"design": OmegaConf.to_container(config.design, resolve=True)})
    for word in typed:
        if not word.is_sweep_override():
            continue
        if word.key_or_group == "design":
            raise ValueError(f"{word.input_line} names several designs: a sweep has one, so start one sweep for each")
        OmegaConf.update(composed, word.key_or_group, list(word.sweep_iterator()), force_add=True)
    container = OmegaConf.to_container(composed)
    assert isinstance(container, dict)
    return container["design"]


def _check_conflicts(design: Design, typed: Sequence[Override]) -> None:
    """Nothing may be set twice, by the design and beside it.

    Raises:
        ValueError: something is.
    """
    variants = {*design.axes, "variant"} if design.arms else set()
    zipped = [key for group in design.zipped for key in group]
    for word in typed:
        if subject(word) in variants:
            raise ValueError(f"{word.input_line} and the design both choose the variant: leave out one of the two")
        if _key(word) in zipped:
            raise ValueError(f"{word.input_line} is set by design.zip too: leave out one of the two")
    for key in (*zipped, *design.vary):
        if key.split(".")[0] in variants:
            raise ValueError(f"the design sets {key} twice, in its variants and beside them: leave out one of the two")
    both = [key for key in zipped if key in design.vary or zipped.count(key) > 1]
    if both:
        raise ValueError(f"the design sets {both[0]} twice: leave it in one list of design.zip or design.vary")


def _plain(design: Design, typed: list[Override], params: Mapping[str, str], loader: ConfigLoader) -> list[Job]:
    """The product of the plain words; the command line goes before the design, and that before the defaults."""
    taken = {*design.vary, *(key for group in design.zipped for key in group)}
    variants = {*design.axes, "variant"} if design.arms else set()
    defaults = _parse([f"{key}={value}" for key, value in params.items()], loader)
    kept = [word for word in defaults if _key(word) not in taken and subject(word) not in variants]
    varied = _parse([f"{_group(key)}={','.join(values)}" for key, values in design.vary.items()], loader)
    try:
        return [list(job) for job in BasicSweeper.split_arguments([*kept, *varied, *typed], None)[0]]
    except HydraException as error:
        raise ValueError(" ".join(str(error).split())) from error


def _rows(group: Mapping[str, Sequence[str]]) -> list[Job]:
    """The words of each row of lists that go together."""
    rows = zip(*group.values(), strict=True)
    return [[f"{_group(key)}={value}" for key, value in zip(group, row, strict=True)] for row in rows]


def _arm_words(design: Design, config: DictConfig) -> list[Job]:
    """The words of each variant; where an experiment moved an axis of the design, the baseline's option is spelled."""
    if not design.arms:
        return [[]]
    moved = [axis for axis in design.axes if option(config[axis]) != baseline()[axis]]
    held = {axis: baseline()[axis] for axis in moved}
    return [words({**held, **arm}) for arm in design.arms]


def _excluded(design: Design, job: Job, config: DictConfig) -> bool:
    if not design.exclude:
        return False
    settings = {_key(word): word.get_value_element_as_str() for word in parse(job)}
    arm = {axis: settings[axis] for axis in AXES if axis in settings}
    found = {"variant": name(arm), **settings} if design.arms else settings
    return any(all(_value(key, found, config) in values for key, values in entry.items()) for entry in design.exclude)


def _value(key: str, settings: Mapping[str, str], config: DictConfig) -> str:
    """What a run has for a key of `exclude`: from its words, else from the sweep's configuration.

    Raises:
        ValueError: there is no such setting.
    """
    if key in settings:
        return settings[key]
    choices = config.hydra.runtime.choices
    chosen = choices.get(_group(key)) if key in choices or _group(key) in choices else OmegaConf.select(config, key)
    if chosen is None:
        raise ValueError(f"design.exclude names {key}, which is no setting of these runs: correct it or leave it out")
    return str(chosen)


def _key(word: Override) -> str:
    """The setting that a word changes; the final norm goes by its own name."""
    return "final_norm" if word.package == "final_norm" else str(word.get_key_element())


def _group(key: str) -> str:
    return "norm@final_norm" if key == "final_norm" else key
