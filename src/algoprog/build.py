"""From configuration to objects: the only place that calls `hydra.utils.instantiate`; DictConfig stops here."""

from __future__ import annotations

import math
from functools import cache, partial
from inspect import Parameter, getattr_static, signature
from pathlib import Path
from typing import Any, get_type_hints

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from algoprog.axes import AXES, MODEL
from algoprog.baseline import has, meaningless, option, other_text, preset
from algoprog.config import OF_THE_SWEEP
from algoprog.data.interface import Corpus, Tokenizer, padded_vocab_size
from algoprog.data.prepare import prepare
from algoprog.data.tokens import TokenStore
from algoprog.data.windows import DocumentWindows, ValidationWindows
from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone

NONE = "none"
"""The option of an axis that leaves out what the axis is about."""


def resolve(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain values.

    Raises:
        ValueError: a value is missing or an interpolation leads nowhere.
    """
    try:
        own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in OF_THE_SWEEP])
        config = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ValueError(f"{error.full_key} has no value: add {error.full_key}=... to the command line") from error
    except OmegaConfBaseException as error:
        raise ValueError(_no_value(cfg, error)) from error
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def _no_value(cfg: DictConfig, error: OmegaConfBaseException) -> str:
    """What to do about a value that cannot be had, such as one that an experiment gives to certain models only."""
    first = str(error).splitlines()[0]
    known = cfg.get("per_model")
    key = error.full_key or "this setting"
    if "'per_model." not in first or not known:
        return f"{key}: {first}"
    model = cfg.model.name
    return (
        f"this experiment has no {key} for model={model}, only for {', '.join(known)}:"
        f" use one of these, or add +per_model.{model}.{key.split('.')[-1]}=..."
    )


def tokens(config: dict[str, Any], *, progress: bool = True) -> TokenStore:
    """The prepared tokens of a configuration, made now if need be.

    Raises:
        ValueError: corpus, tokenizer or prepared files are unusable, with the remedy.
    """
    corpus, tokenizer = sources(config)
    return prepare(corpus, tokenizer, Path(config["cache_dir"]).expanduser(), progress=progress)


def sources(config: dict[str, Any]) -> tuple[Corpus, Tokenizer]:
    """Corpus and tokenizer of a configuration.

    Raises:
        ValueError: they are unusable, no folder is there for their tokens, or a sweep compares data that share no text
            or no tokens.
    """
    if not config["cache_dir"].strip():
        raise ValueError("cache_dir is empty: name a folder, or leave ALGOPROG_CACHE out of the environment")
    corpus, tokenizer = construct(config, "data"), construct(config, "tokenizer")
    compared = [key for key in other_text(config) if key.split(".")[0] == "data"]
    if compared and corpus.validation is None:
        raise ValueError(
            f"{compared[0]} is compared, and each would be validated on a text of its own: add data.validation=FILE,"
            " one text for all"
        )
    if compared and tokenizer.of_the_corpus:
        raise ValueError(
            f"{compared[0]} is compared, and tokenizer={option(config['tokenizer'])} would be learned from each anew:"
            " add tokenizer.text=FILE to learn it from one text, or choose tokenizer=bytes or gpt2"
        )
    return corpus, tokenizer


def val_windows(config: dict[str, Any], store: TokenStore, context: int = 1) -> ValidationWindows | DocumentWindows:
    """What is evaluated: windows all over the validation text, or whole documents of it where bytes are counted.

    Args:
        config: resolved.
        store: the prepared tokens.
        context: length of the windows, in those of the model's context.

    Raises:
        ValueError: the text is too short, or its bytes are not known.
    """
    evaluation, seq_len = config["evaluation"], context * config["model"]["seq_len"]
    _check_length(context, seq_len, len(store.val) - 1)
    if evaluation["bytes"] is None:
        return ValidationWindows(store.val, seq_len, evaluation["tokens"])
    if store.token_bytes is None:
        raise ValueError(
            f"evaluation.bytes needs the length of every token, {store.folder} lacks it: delete that folder"
        )
    windows = DocumentWindows(store.val, store.token_bytes, seq_len, evaluation["bytes"])
    _check_length(context, seq_len, windows.n_targets)
    return windows


def _check_length(context: int, seq_len: int, tokens: int) -> None:
    if context > 1 and tokens < seq_len:
        raise ValueError(
            f"evaluation.contexts has {context}, which asks for windows of {seq_len} tokens, and the validation text"
            f" has only {tokens} to predict: leave {context} out, or take more text"
        )


def dims_of(config: dict[str, Any], store: TokenStore) -> Dims:
    """The sizes of the model that a configuration asks for.

    Raises:
        ValueError: they do not fit together.
    """
    sizes = {key: value for key, value in config["model"].items() if key != "name"}
    return Dims(vocab_size=padded_vocab_size(store.info.vocab_size), **sizes)


def gpt(config: dict[str, Any], dims: Dims) -> Backbone:
    """The model of a configuration; its weights are whatever was in memory.

    An axis that means nothing beside the other options is built from the option `none`, where it has one.
    """
    inside: frozenset[str] = get_object(config["backbone"]["_target_"]).axes
    absent = {axis: preset(AXES[axis].group, NONE) for axis in meaningless(config)}
    built = {**config, **{axis: part for axis, part in absent.items() if part}}
    parts = {axis: construct(built, axis) for axis in MODEL if axis in inside}
    model: Backbone = construct(config, "backbone")(dims, parts)
    further = construct(config, "objective").ahead if "objective" in config else 0
    if further:
        model.look_ahead(further, parts)
    return model


def skeleton(config: dict[str, Any], dims: Dims) -> Backbone:
    """The model of a configuration without memory for its weights, on the meta device."""
    with torch.device("meta"):
        return gpt(config, dims)


def axes_of(config: dict[str, Any]) -> tuple[str, ...]:
    """The axes that mean something in a configuration, the backbone first."""
    return tuple(axis for axis in MODEL if has(config, axis))


def construct(config: dict[str, Any], part: str) -> Any:
    """What the `_target_` of one part of the configuration makes of its knobs.

    Raises:
        ValueError: a knob has the wrong type, or the constructor refused it with a sentence of its own.
    """
    knobs = _typed(part, config[part])
    if not any(_may_build(value) for value in knobs.values()):
        return _called(part, knobs)
    try:
        return instantiate(knobs)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ValueError):
            raise ValueError(str(cause)) from error
        raise ValueError(f"{part}: {' '.join(str(cause or error).split())}") from error


def _may_build(value: Any) -> bool:
    """Whether a knob may hold something to build by itself."""
    return isinstance(value, dict) or (isinstance(value, list) and any(_may_build(item) for item in value))


def _called(part: str, knobs: dict[str, Any]) -> Any:
    """What `instantiate` makes of knobs that hold nothing to build, at a hundredth of the time.

    Raises:
        ValueError: the constructor refused a knob.
    """
    own = {name: value for name, value in knobs.items() if name not in ("_target_", "_partial_", "_convert_")}
    target = get_object(knobs["_target_"])
    if knobs.get("_partial_"):
        return partial(target, **own)
    try:
        return target(**own)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{part}: {' '.join(str(error).split())}") from error


def _typed(part: str, knobs: dict[str, Any]) -> dict[str, Any]:
    """The knobs as the annotations of the constructor want them: 1e5 as an integer where one is asked for."""
    target = _named(part, knobs["_target_"])
    _check_knobs(part, target, knobs)
    typed = {}
    for name, value in knobs.items():
        try:
            typed[name] = _adapter(target, name).validate_python(value)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            raise ValueError(f"{part}.{name}={value} does not fit: {message[0].lower()}{message[1:]}") from error
        if isinstance(typed[name], float) and not math.isfinite(typed[name]):
            raise ValueError(f"{part}.{name}={value} must be a finite number")
        if isinstance(value, bool) and type(typed[name]) in (int, float):
            raise ValueError(f"{part}.{name}={str(value).lower()} must be a number")
    return typed


def _named(part: str, target: str) -> Any:
    """The class or function of a part.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return get_object(target)
    except (AttributeError, ImportError, TypeError, ValueError) as error:
        raise ValueError(f"{part}._target_={target} cannot be imported: name a class behind its module") from error


def _check_knobs(part: str, target: Any, knobs: dict[str, Any]) -> None:
    """Refuse knobs that a constructor does not have, and the lack of one that it needs.

    Raises:
        ValueError: naming it.
    """
    parameters = signature(target).parameters
    own = {name: one for name, one in parameters.items() if one.kind is Parameter.KEYWORD_ONLY}
    given = [name for name in knobs if name not in ("_target_", "_partial_", "_convert_")]
    strange = [name for name in given if name not in parameters]
    if strange and not any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values()):
        raise ValueError(f"{part}.{strange[0]} is no setting: {part} has {', '.join(own) or 'none'}")
    missing = [name for name, one in own.items() if name not in knobs and one.default is Parameter.empty]
    if missing:
        raise ValueError(f"{part}.{missing[0]} has no value: add {part}.{missing[0]}=... to the command line")


@cache
def _adapter(target: Any, knob: str) -> TypeAdapter[Any]:
    """What checks a knob of a constructor; a sweep asks for the same few again and again, and it takes long to make."""
    return TypeAdapter(_hints(target).get(knob, Any))


@cache
def _hints(target: Any) -> dict[str, Any]:
    return get_type_hints(getattr_static(target, "__init__") if isinstance(target, type) else target)
