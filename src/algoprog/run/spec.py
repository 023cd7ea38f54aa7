"""One run, checked and priced: what a plan lists and what training starts from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from algoprog.baseline import other_text, reference
from algoprog.build import construct, dims_of, gpt, skeleton, val_windows
from algoprog.config import AUTO
from algoprog.data.interface import Corpus, digest
from algoprog.data.tokens import TokenStore
from algoprog.data.windows import DocumentWindows, TrainWindows, ValidationWindows
from algoprog.model.interface.backbone import TRAIN_OVER_FORWARD, Backbone
from algoprog.model.interface.site import Work
from algoprog.refusals.names import check_name
from algoprog.refusals.pairs import refuse
from algoprog.refusals.unknown import refuse_unknown
from algoprog.run.batch import accumulated, check_whole, devices_of
from algoprog.run.settings import check_optimizer, check_settings
from algoprog.training import budget
from algoprog.training.optimizer import MOMENT_BYTES
from algoprog.training.precision import bytes_of_numbers
from algoprog.variant import cohort, model_name, run_id, text, variant

if TYPE_CHECKING:
    from algoprog.model.interface.roles import Declared
    from algoprog.training.devices.hardware import Gpus
    from algoprog.training.module import LanguageModel
    from algoprog.training.optimizer import Recipe
    from algoprog.training.schedule import Schedule


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
    beyond_flops: float  # forward, of the evaluation beyond the trained context
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
        """This run with a batch that is cut otherwise, which changes how a step is computed and nothing else."""
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

    def val_windows(self, context: int = 1) -> ValidationWindows | DocumentWindows:
        """The fixed windows of validation, of so many times the length of those of training."""
        return val_windows(self.config, self.tokens, context)

    @property
    def contexts(self) -> tuple[int, ...]:
        """Lengths at which the end is evaluated, in those of training; none where it is that of training alone."""
        asked = tuple(self.config["evaluation"]["contexts"])
        return () if asked == (1,) else asked

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
        return times * tokens * self.flops_per_token / TRAIN_OVER_FORWARD + self.beyond_flops

    def _schedule(self) -> Schedule:
        schedule: Schedule = construct(self.config, "schedule")
        return schedule

    def evaluation_steps(self) -> frozenset[int]:
        """Steps after which the run is evaluated."""
        evaluation = self.config["evaluation"]
        return budget.evaluation_steps(self.total_steps, points=evaluation["points"], every=evaluation["every"])


def priced(config: dict[str, Any], store: TokenStore, gpus: Gpus | None = None) -> RunSpec:
    """Check and price one run on the meta device: milliseconds, no memory.

    Args:
        config: resolved.
        store: the prepared tokens of its corpus.
        gpus: those that the run will see; None for a run of this process.

    Raises:
        ValueError: the configuration cannot be trained, saying what to change.
    """
    refuse_unknown(config)
    check_settings(config)
    check_name("model.name", str(config["model"]["name"]))
    refuse(config)
    auto_micro_batch = config["micro_batch_size"] == AUTO
    devices = devices_of(config, gpus)
    if auto_micro_batch:
        config = {**config, "micro_batch_size": config["batch_size"] // devices}
    dims = dims_of(config, store)
    val_windows(config, store)  # is a window shorter than the text?
    TrainWindows(store.train, dims.seq_len, config["seed"], 1)
    model = skeleton(config, dims)
    if model.of_whole_batches:
        check_whole(config, devices)
        auto_micro_batch = False
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
        optimizer_bytes=_kept_bytes(optimizer, parameters, config["precision"]),
        facts=model.facts(),
        attention_density=model.attention_density(),
        sparse=model.sparse,
        beyond_flops=_beyond_flops(config, store, model),
        tokens_per_step=tokens_per_step,
        total_steps=total_steps,
        accumulate=accumulated(config, devices),
        auto_micro_batch=auto_micro_batch,
    )
    check_name("the name of the run", checked.name)
    checked.evaluation_steps(), checked.branches()  # raise now, not in training
    construct(config, "logger"), construct(config, "objective")
    check_optimizer(config)
    return checked


def _kept_bytes(optimizer: Recipe, parameters: Sequence[Declared], precision: str) -> int:
    """Bytes that the optimizer keeps between steps, where recipes count them in float32."""
    return sum(optimizer.state_bytes(own) for own in parameters) * bytes_of_numbers(precision) // MOMENT_BYTES


def _beyond_flops(config: dict[str, Any], store: TokenStore, model: Backbone) -> float:
    """Of the evaluation beyond the trained context, once a run.

    Raises:
        ValueError: the model has nothing there, or the validation text is too short.
    """
    beyond = [context for context in config["evaluation"]["contexts"] if context > 1]
    if beyond and model.bounded_by:
        raise ValueError(
            f"evaluation.contexts={text(config['evaluation']['contexts'])} goes beyond the trained context, and"
            f" {model.bounded_by}: choose another position such as pos=rope, for a sweep a baseline that has one"
            " (baseline=llama), or leave evaluation.contexts out"
        )
    lengths = {context: context * model.dims.seq_len for context in beyond}
    return sum(
        len(val_windows(config, store, context)) * model.flops(Work.prefill(length))
        for context, length in lengths.items()
    )


def reseeded(spec: RunSpec, seed: int) -> RunSpec:
    """A run with another seed, which changes neither size nor price."""
    config, sha256 = {**spec.config, "seed": seed}, spec.tokens.info.sha256
    former = run_id(config, sha256, former=True)
    return replace(spec, config=config, seed=seed, run_id=run_id(config, sha256), former_id=former)


def language_model(spec: RunSpec, kind: type[LanguageModel] | None = None) -> LanguageModel:
    """The model with its initial weights, ready to train alone, or as another kind of module does."""
    from algoprog.training.module import LanguageModel

    kind = kind or LanguageModel
    model = gpt(spec.config, dims_of(spec.config, spec.tokens))
    model.init_weights(spec.seed, construct(spec.config, "init"))
    lengths = spec.tokens.token_bytes
    return kind(
        model,
        optimizer=construct(spec.config, "optim"),
        schedule=construct(spec.config, "schedule"),
        objective=construct(spec.config, "objective"),
        total_steps=spec.total_steps,
        bytes_per_token=spec.tokens.info.val_bytes_per_token,
        token_bytes=None if lengths is None else torch.from_numpy(lengths),
        compiled=spec.config["trainer"]["compile"],
    )


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
