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

from algoprog.axes import ALWAYS, AXES
from algoprog.baseline import option
from algoprog.overrides import refuse_choices, setting, subject, with_moved_axes
from algoprog.refusals.by_hydra import hydra_sentence
from algoprog.sweep.design.compare import Words, compared, moved
from algoprog.sweep.design.composition import Compose
from algoprog.sweep.design.every import Around
from algoprog.sweep.design.exclude import kept
from algoprog.sweep.design.shape import Design, read
from algoprog.sweep.design.variants import words

SWEEPER_KNOBS = ("params", "reuse", "skip_refused")


def jobs(
    config: DictConfig,
    arguments: Sequence[str],
    params: Mapping[str, str] | None,
    loader: ConfigLoader,
    compose: Compose,
) -> list[Words]:
    """The words of every run asked for, repetitions taken out.

    Args:
        config: the composed configuration of the whole sweep, with its design.
        arguments: the words of the command line.
        params: choices swept by default, from `hydra.sweeper.params`.
        loader: Hydra's, for words such as `variant=glob(*)`.
        compose: Hydra's composition of the words of one run.

    Raises:
        ValueError: the design does not make sense, or contradicts the command line.
    """
    typed = _parse(arguments, loader)
    design = _design(config, typed)
    own = [word for word in typed if subject(word) not in ("design", "tune")]
    _check_one_search(typed)
    _check_conflicts(design, own)
    plain = _plain(design, own, params or {}, loader)
    runs = [
        [*plain_job, *zipped, *arm]
        for plain_job in plain
        for zipped in product(*map(_rows, design.zipped))
        for arm in _arm_words(design)
    ]
    flat = [[word for part in run for word in ([part] if isinstance(part, str) else part)] for run in runs]
    distinct = list({tuple(job): job for job in flat}.values())
    refuse_choices(list(dict.fromkeys(word for job in distinct for word in job)))
    return _compared(kept(distinct, design.exclude, config, loader, compose), config, typed, compose)


def design_of(config: DictConfig, arguments: Sequence[str], loader: ConfigLoader) -> Design:
    """The design of a sweep.

    Raises:
        ValueError: it does not make sense.
    """
    return _design(config, _parse(arguments, loader))


def _design(config: DictConfig, typed: Sequence[Override]) -> Design:
    base = {axis: option(config[axis]) for axis in ALWAYS}
    named = frozenset(setting(word).lstrip("+~") for word in typed)
    chosen = {axis: str(config.hydra.runtime.choices[axis]) for axis in AXES if axis not in base}
    around = Around({**chosen, **base}, str(config.baseline.name), named)
    return read(_with_lists(config, [word for word in typed if subject(word) == "design"]), base, around)


def _compared(found: list[Words], config: DictConfig, typed: Sequence[Override], compose: Compose) -> list[Words]:
    """The jobs with what each is measured against, where a sweep, an experiment or a word moved that.

    Raises:
        ValueError: a word moves the baseline to what is no option.
    """
    spelled = [with_moved_axes(job) for job in found]
    searched = [str(key) for key in config.tune.get("space") or ()]
    return compared(spelled, compose, [str(key) for key in config.tuned], _moved(config, typed, compose), searched)


def _moved(config: DictConfig, typed: Sequence[Override], compose: Compose) -> dict[str, Any]:
    """The axes that an experiment sets otherwise than the baseline's file."""
    if config.hydra.runtime.choices.get("experiment") is None:
        return {}
    words = [_text(word) for word in typed if subject(word) in ("experiment", "baseline")]
    found = OmegaConf.masked_copy(compose(words), [*ALWAYS, "baseline"])
    container = OmegaConf.to_container(found, resolve=False)
    assert isinstance(container, dict)
    return moved({str(key): value for key, value in container.items()})


def _text(word: Override) -> str:
    assert word.input_line is not None
    return word.input_line


def check_sweeper(config: DictConfig) -> None:
    """Refuse knobs that our sweeper has not, and another sweeper where only ours knows what is asked for.

    Raises:
        ValueError: there is such a knob, or one has a value that it cannot have, or the other sweeper would pass over
            the design, or hand over runs that the launcher cannot place.
    """
    choices = config.hydra.runtime.choices
    sweeper, launcher = choices["hydra/sweeper"], choices["hydra/launcher"]
    if sweeper == "algoprog":
        unknown = sorted({str(name) for name in config.hydra.sweeper} - {"_target_", *SWEEPER_KNOBS})
        if unknown:
            known = ", ".join(SWEEPER_KNOBS)
            raise ValueError(f"hydra.sweeper.{unknown[0]} is no knob of hydra/sweeper=algoprog: it has {known}")
        _check_knobs(config.hydra.sweeper)
        return
    named = [word for word in config.hydra.overrides.task if word.startswith(("design=", "design.", "+design."))]
    if choices["design"] != "product" or named:
        design = named[0] if named else f"design={choices['design']}"
        raise ValueError(f"hydra/sweeper={sweeper} knows no designs, and {design} asks for one: leave out either")
    if choices["tune"] != "none":
        tune = f"tune={choices['tune']}"
        raise ValueError(f"hydra/sweeper={sweeper} searches nothing, and {tune} asks for it: leave out either")
    if launcher in ("local", "slurm", "ray"):
        raise ValueError(
            f"hydra/sweeper={sweeper} names no folders for the runs of hydra/launcher={launcher}: leave it out, or add"
            " hydra/launcher=basic"
        )


def _check_knobs(knobs: DictConfig) -> None:
    for name, kinds, what in (
        ("params", DictConfig, "null, or a mapping of settings to values"),
        ("reuse", str, "null, or a folder"),
        ("skip_refused", bool, "true or false"),
    ):
        value = knobs.get(name)
        if not isinstance(value, kinds) and (value is not None or kinds is bool):
            raise ValueError(f"hydra.sweeper.{name}={value} must be {what}")


def _parse(words: Sequence[str], loader: ConfigLoader) -> list[Override]:
    try:
        return OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    except HydraException as error:
        raise ValueError(hydra_sentence(error)) from error


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


def _check_one_search(typed: Sequence[Override]) -> None:
    """A sweep has one search, and says itself which of its runs belong to it.

    Raises:
        ValueError: several are named, or a role is.
    """
    for word in typed:
        if subject(word) == "tune" and word.is_sweep_override() and word.key_or_group == "tune":
            raise ValueError(f"{word.input_line} names several searches: a sweep has one, so start one sweep for each")
        if subject(word) == "role":
            raise ValueError(f"{word.input_line} is said by the sweep itself: leave it out, tune=lr makes a search")


def _check_conflicts(design: Design, typed: Sequence[Override]) -> None:
    """Nothing may be set twice, by the design and beside it.

    Raises:
        ValueError: something is.
    """
    zipped = [key for group in design.zipped for key in group]
    for word in typed:
        if design.sets(setting(word)):
            raise ValueError(f"{word.input_line} and the design both choose the variant: leave out one of the two")
        if setting(word) in zipped:
            raise ValueError(f"{word.input_line} is set by design.zip too: leave out one of the two")
    for key in (*zipped, *design.vary):
        if design.sets(key):
            raise ValueError(f"the design sets {key} twice, in its variants and beside them: leave out one of the two")
    both = [key for key in zipped if key in design.vary or zipped.count(key) > 1]
    if both:
        raise ValueError(f"the design sets {both[0]} twice: leave it in one list of design.zip or design.vary")


def _plain(design: Design, typed: list[Override], params: Mapping[str, str], loader: ConfigLoader) -> list[Words]:
    """The product of the plain words; the command line goes before the design, and that before the defaults."""
    taken = {*design.vary, *(key for group in design.zipped for key in group)}
    defaults = _parse([f"{key}={value}" for key, value in params.items()], loader)
    own = [word for word in defaults if setting(word) not in taken and not design.sets(setting(word))]
    varied = _parse([f"{_group(key)}={','.join(values)}" for key, values in design.vary.items()], loader)
    try:
        return [list(job) for job in BasicSweeper.split_arguments([*own, *varied, *typed], None)[0]]
    except HydraException as error:
        raise ValueError(hydra_sentence(error)) from error


def _rows(group: Mapping[str, Sequence[str]]) -> list[Words]:
    """The words of each row of lists that go together."""
    rows = zip(*group.values(), strict=True)
    return [[f"{_group(key)}={value}" for key, value in zip(group, row, strict=True)] for row in rows]


def _arm_words(design: Design) -> list[Words]:
    """The words of each variant."""
    return [words(arm) for arm in design.arms] or [[]]


def _group(key: str) -> str:
    return AXES[key].word if key in AXES else key
