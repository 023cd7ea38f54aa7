"""From configuration to objects: the only place that calls `hydra.utils.instantiate`; DictConfig stops here."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import cache, partial
from inspect import Parameter, getattr_static, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from torch import nn

from algoprog.axes import AXES, MODEL
from algoprog.baseline import get, has, meaningless, option, other_text, preset, reference
from algoprog.config import AUTO, OF_THE_SWEEP
from algoprog.data.interface import Corpus, Tokenizer, digest, padded_vocab_size
from algoprog.data.prepare import prepare
from algoprog.data.tokens import TokenStore
from algoprog.data.windows import DocumentWindows, TrainWindows, ValidationWindows
from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import TRAIN_OVER_FORWARD, Backbone
from algoprog.model.interface.roles import matrix, vector
from algoprog.names import check_name
from algoprog.refusals import refuse
from algoprog.runs.record import COMPARE, SEARCH
from algoprog.training import budget
from algoprog.unknown_settings import refuse_unknown
from algoprog.variant import cohort, model_name, run_id, variant

if TYPE_CHECKING:
    from algoprog.training.hardware import Gpus
    from algoprog.training.module import LanguageModel
    from algoprog.training.schedule import Schedule

PRECISIONS = ("32", "bf16-mixed")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda")
STRATEGIES = ("auto", "ddp", "fsdp")
NONE = "none"
"""The option of an axis that leaves out what the axis is about."""


@dataclass(frozen=True)
class RunSpec:
    """One run, checked and priced but not started: what a plan lists and what training starts from."""

    config: dict[str, Any]  # resolved
    tokens: TokenStore
    run_id: str
    former_id: str  # of the same run when the micro batch was a part of its identity
    cohort: str
    variant: str
    model: str
    seed: int
    n_params: int
    n_active_params: int  # of a token
    n_embedding_params: int
    flops_per_token: float  # training, of the model
    optimizer_flops: float  # of one step
    optimizer_bytes: int  # that the optimizer keeps between steps
    facts: dict[str, float]  # constants of the built model
    attention_density: float | None  # None without attention
    sparse: bool  # the attention is configured to leave keys out
    tokens_per_step: int
    total_steps: int
    accumulate: int  # micro-batches of one device in a step
    auto_micro_batch: bool  # the configuration leaves their size to the memory
    folder: str | None = None  # inside its sweep, where it was begun under another name

    @property
    def role(self) -> str:
        """What the run is for: search or compare."""
        return str(self.config["role"])

    @property
    def n_devices(self) -> int:
        """Devices that share the batch, over all nodes."""
        return int(self.config["batch_size"] // (self.micro_batch_size * self.accumulate))

    @property
    def micro_batch_size(self) -> int:
        """Sequences per forward pass of one device; under `auto` its whole share of the batch until it is cut."""
        return int(self.config["micro_batch_size"])

    def cut(self, micro_batch_size: int) -> RunSpec:
        """The same run with a batch that is cut otherwise, which changes how a step is computed and nothing else."""
        share = self.micro_batch_size * self.accumulate
        assert share % micro_batch_size == 0
        config = {**self.config, "micro_batch_size": micro_batch_size}
        return replace(self, config=config, accumulate=share // micro_batch_size)

    @property
    def name(self) -> str:
        """Folder of the run inside its sweep."""
        return self.folder or f"{self.model}-{self.variant}-s{self.seed}-{self.run_id[:8]}"

    def train_windows(self, step: int = 0) -> TrainWindows:
        """The windows of the run from an optimizer step on, in the order of its seed."""
        batch = int(self.config["batch_size"])
        seq_len = self.config["model"]["seq_len"]
        return TrainWindows(self.tokens.train, seq_len, self.seed, self.total_steps * batch, step * batch)

    def val_windows(self) -> ValidationWindows | DocumentWindows:
        """The fixed windows of validation."""
        return val_windows(self.config, self.tokens)

    def branches(self) -> tuple[tuple[int, int], ...]:
        """Annealed budgets below the whole one, as (step of leaving the trunk, last step).

        Raises:
            ValueError: the schedule has no room for them.
        """
        return self._schedule().branches(self.total_steps)

    @property
    def anneals(self) -> bool:
        """Whether the learning rate is taken down at the end."""
        return self._schedule().anneals(self.total_steps)

    @property
    def paid_steps(self) -> int:
        """Optimizer steps of the run and of its branches; a record counts those of the run alone."""
        return self.total_steps + sum(end - start for start, end in self.branches())

    def charged_flops(self, steps: int) -> float:
        """FLOPs that so many steps are charged: forward and backward passes, and the optimizer's products."""
        return steps * self.tokens_per_step * self.flops_per_token + steps * self.optimizer_flops

    @property
    def total_flops(self) -> float:
        """FLOPs that the run is charged, as its record counts them."""
        return self.charged_flops(self.total_steps)

    @property
    def paid_flops(self) -> float:
        """FLOPs that the run and its branches are charged."""
        return self.charged_flops(self.paid_steps)

    @property
    def evaluation_flops(self) -> float:
        """Forward FLOPs of all evaluations, those at the ends of branches included."""
        times, tokens = len(self.evaluation_steps()) + len(self.branches()), self.config["evaluation"]["tokens"]
        if self.config["evaluation"]["bytes"] is not None:
            tokens = len(self.val_windows()) * self.config["model"]["seq_len"]
        return times * tokens * self.flops_per_token / TRAIN_OVER_FORWARD

    def _schedule(self) -> Schedule:
        schedule: Schedule = construct(self.config, "schedule")
        return schedule

    def evaluation_steps(self) -> frozenset[int]:
        """Steps after which the run is evaluated."""
        evaluation = self.config["evaluation"]
        return budget.evaluation_steps(self.total_steps, points=evaluation["points"], every=evaluation["every"])


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
        ValueError: they are unusable, or a sweep compares data that share no text or no tokens.
    """
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


def spec(config: dict[str, Any], store: TokenStore, gpus: Gpus | None = None) -> RunSpec:
    """Check and price one run on the meta device: milliseconds, no memory.

    Args:
        config: resolved.
        store: the prepared tokens of its corpus.
        gpus: those that the run will see; None for a run of this process.

    Raises:
        ValueError: the configuration cannot be trained, saying what to change.
    """
    refuse_unknown(config)
    _check_settings(config)
    check_name("model.name", str(config["model"]["name"]))
    refuse(config)
    auto_micro_batch = config["micro_batch_size"] == AUTO
    devices = _devices(config, gpus)
    if auto_micro_batch:
        config = {**config, "micro_batch_size": config["batch_size"] // devices}
    dims = dims_of(config, store)
    val_windows(config, store)  # is a window shorter than the text?
    TrainWindows(store.train, dims.seq_len, config["seed"], 1)
    model = skeleton(config, dims)
    flops_per_token = model.flops_per_token()
    optimizer, parameters = construct(config, "optim"), model.parameters_by_role()
    optimizer_flops = sum(optimizer.flops(parameter) for parameter in parameters)
    tokens_per_step = config["batch_size"] * dims.seq_len
    total_steps = budget.steps(
        config["budget"],
        tokens_per_step=tokens_per_step,
        flops_per_step=tokens_per_step * flops_per_token + optimizer_flops,
        n_body_params=model.n_active_body_params(),
    )
    settled = construct(config, "schedule").settled(total_steps)
    config = {**config, "schedule": {**config["schedule"], **settled}}
    checked = RunSpec(
        config=config,
        tokens=store,
        run_id=run_id(config, store.info.sha256),
        former_id=run_id(config, store.info.sha256, former=True),
        cohort=cohort(config, _compared_data(config, store)),
        variant=variant(config),
        model=model_name(config),
        seed=config["seed"],
        n_params=model.n_params(),
        n_active_params=model.n_active_params(),
        n_embedding_params=model.n_embedding_params(),
        flops_per_token=flops_per_token,
        optimizer_flops=optimizer_flops,
        optimizer_bytes=sum(optimizer.state_bytes(parameter) for parameter in parameters),
        facts=model.facts(),
        attention_density=model.attention_density(),
        sparse=model.sparse,
        tokens_per_step=tokens_per_step,
        total_steps=total_steps,
        accumulate=_accumulate(config, devices),
        auto_micro_batch=auto_micro_batch,
    )
    check_name("the name of the run", checked.name)
    checked.evaluation_steps(), checked.branches()  # raise now, not in training
    construct(config, "logger")
    _check_optimizer(config)
    return checked


def _compared_data(config: dict[str, Any], store: TokenStore) -> str:
    """Hash of what runs that may be compared have in common of their data.

    Raises:
        ValueError: data or tokenizers are compared, and it is not known on which text.
    """
    if not other_text(config):
        return store.info.sha256
    if store.validation is None:
        raise ValueError(f"{store.folder} does not say which text is validated on: delete that folder")
    return digest(store.validation.sha256, _fingerprint(json.dumps(reference(config)["data"])))


@cache
def _fingerprint(data: str) -> str:
    """Of a corpus; the files of one are read once for all runs of a sweep."""
    corpus: Corpus = construct({"data": json.loads(data)}, "data")
    return corpus.fingerprint()


def val_windows(config: dict[str, Any], store: TokenStore) -> ValidationWindows | DocumentWindows:
    """What is evaluated: windows all over the validation text, or whole documents of it where bytes are counted.

    Raises:
        ValueError: the text is too short, or its bytes are not known.
    """
    evaluation, seq_len = config["evaluation"], config["model"]["seq_len"]
    if evaluation["bytes"] is None:
        return ValidationWindows(store.val, seq_len, evaluation["tokens"])
    if store.token_bytes is None:
        raise ValueError(
            f"evaluation.bytes needs the length of every token, {store.folder} lacks it: delete that folder"
        )
    return DocumentWindows(store.val, store.token_bytes, seq_len, evaluation["bytes"])


def reseeded(spec: RunSpec, seed: int) -> RunSpec:
    """The same run with another seed, which changes neither size nor price."""
    config, sha256 = {**spec.config, "seed": seed}, spec.tokens.info.sha256
    former = run_id(config, sha256, former=True)
    return replace(spec, config=config, seed=seed, run_id=run_id(config, sha256), former_id=former)


def skeleton(config: dict[str, Any], dims: Dims) -> Backbone:
    """The model of a configuration without memory for its weights, on the meta device."""
    with torch.device("meta"):
        return gpt(config, dims)


def module(spec: RunSpec) -> LanguageModel:
    """The model with its initial weights, ready to train."""
    from algoprog.training.module import LanguageModel

    model = gpt(spec.config, dims_of(spec.config, spec.tokens))
    model.init_weights(spec.seed)
    lengths = spec.tokens.token_bytes
    return LanguageModel(
        model,
        optimizer=construct(spec.config, "optim"),
        schedule=construct(spec.config, "schedule"),
        total_steps=spec.total_steps,
        bytes_per_token=spec.tokens.info.val_bytes_per_token,
        token_bytes=None if lengths is None else torch.from_numpy(lengths),
        compiled=spec.config["trainer"]["compile"],
    )


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
    target = get_object(knobs["_target_"])
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


def _check_settings(config: dict[str, Any]) -> None:
    """Hold the settings that no constructor of ours takes against what there is.

    Raises:
        ValueError: the first that cannot be used, with what can.
    """
    trainer = config["trainer"]
    checks = {
        "precision": (config["precision"] in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
        "role": (config["role"] in (SEARCH, COMPARE), f"{SEARCH} or {COMPARE}"),
        "seed": (0 <= config["seed"] < 2**32, "between 0 and 2^32 - 1"),
        "gradient_clip": (config["gradient_clip"] >= 0, "0 (no clipping) or above"),
        "evaluation.tokens": (config["evaluation"]["tokens"] >= 1, "at least 1"),
        "evaluation.bytes": (_at_least(config["evaluation"]["bytes"], 1), "null or at least 1"),
        "trainer.accelerator": (trainer["accelerator"] in ACCELERATORS, f"one of {', '.join(ACCELERATORS)}"),
        "trainer.strategy": (_is_strategy(trainer["strategy"]), f"one of {', '.join(STRATEGIES)}"),
        "trainer.threads": (trainer["threads"] is None or trainer["threads"] >= 1, "null or at least 1"),
        "trainer.num_nodes": (trainer["num_nodes"] >= 1, "at least 1"),
        "trainer.checkpoint_seconds": (_at_least(trainer["checkpoint_seconds"], 0), "null or at least 0"),
        "trainer.checkpoint_steps": (_at_least(trainer["checkpoint_steps"], 1), "null or at least 1"),
    }
    for name, (fits, wanted) in checks.items():
        if not fits:
            raise ValueError(f"{name}={get(config, name)} must be {wanted}")


def _is_strategy(name: str) -> bool:
    """Whether Lightning knows a strategy; it takes seconds to ask."""
    if name in STRATEGIES:
        return True
    from lightning.pytorch.strategies import StrategyRegistry

    return name in StrategyRegistry


def _at_least(value: float | None, least: float) -> bool:
    return value is None or value >= least


def _check_optimizer(config: dict[str, Any]) -> None:
    """Build the optimizer for one vector and one matrix, so that it refuses its knobs now."""
    try:
        construct(config, "optim")([vector(nn.Parameter(torch.zeros(1))), matrix(nn.Parameter(torch.zeros(1, 1)))])
    except (IndexError, ValueError) as error:
        message = " ".join(str(error).split())
        raise ValueError(f"optim: {message[:1].lower()}{message[1:]}: correct that knob") from error


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
    model: Backbone = construct(config, "backbone")(
        dims, {axis: construct(built, axis) for axis in MODEL if axis in inside}
    )
    return model


def axes_of(config: dict[str, Any]) -> tuple[str, ...]:
    """The axes that mean something in a configuration, the backbone first."""
    return tuple(axis for axis in MODEL if has(config, axis))


def _devices(config: dict[str, Any], gpus: Gpus | None) -> int:
    """Devices that share the batch, over all nodes.

    Raises:
        ValueError: they are not there, or cannot share it equally.
    """
    from algoprog.training.hardware import count_devices, gpus_here

    batch, trainer = config["batch_size"], config["trainer"]
    devices = count_devices(trainer["accelerator"], trainer["devices"], gpus or gpus_here()) * trainer["num_nodes"]
    if batch < 1:
        raise ValueError(f"batch_size={batch} must be at least 1")
    if batch % devices:
        raise ValueError(f"batch_size={batch} cannot be shared by {devices} devices: use a multiple of {devices}")
    return int(devices)


def _accumulate(config: dict[str, Any], devices: int) -> int:
    """Micro-batches that one device accumulates in a step.

    Raises:
        ValueError: the batch cannot be cut into equal micro-batches.
    """
    batch, micro = config["batch_size"], config["micro_batch_size"]
    if not isinstance(micro, int) or isinstance(micro, bool) or micro < 1:
        raise ValueError(f"micro_batch_size={micro} must be at least 1, or auto")
    if batch % (micro * devices):
        raise ValueError(
            f"batch_size={batch} is not a multiple of micro_batch_size={micro} times {devices} device(s):"
            f" use for example micro_batch_size={_largest_divisor(batch, devices, micro)}"
        )
    return int(batch // (micro * devices))


def _largest_divisor(batch: int, devices: int, at_most: int) -> int:
    share = batch // devices
    return max((n for n in range(1, at_most + 1) if share and share % n == 0), default=1)
