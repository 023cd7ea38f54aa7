"""The real configuration at sizes that take milliseconds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import hydra
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from jaxtyping import config as jaxtyping_config
from omegaconf import OmegaConf

from algoprog import build
from algoprog.axes import AXES, MODEL
from algoprog.baseline import meaningless
from algoprog.config import conf_dir
from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.context import Context
from algoprog.model.interface.places import FromTheStart
from algoprog.model.interface.reports import Reports
from algoprog.model.interface.site import Site
from algoprog.sweep.design.composition import Compose, composition
from algoprog.variant import baseline

Shaken = TypeVar("Shaken", bound=torch.nn.Module)

TINY = Dims(d_model=16, n_layers=2, n_heads=4, seq_len=13, vocab_size=32, dropout=0.0, bias=True)

SITE = Site.inside(TINY, 0)

TINY_RUN = (
    "model.n_layers=1",
    "model.d_model=16",
    "model.n_heads=2",
    "model.seq_len=32",
    "batch_size=4",
    "micro_batch_size=2",
    "budget.steps=6",
    "evaluation.points=4",
    "evaluation.tokens=256",
    "tokenizer=bytes",
    "trainer=cpu",
    "trainer.threads=1",
)

KNOBS = {
    "attention": (
        {"mqa": {"n_kv_heads": 2}},
        {"sparse": {"pattern": "strided"}},
        {"sparse": {"window": 3, "n_summary": 2}},
        {"sparse": {"window": 5, "n_summary": 0}},
        {"mla": {"q_rank": 0.5}},
        {"window": {"window": 5, "every": 2}},
    ),
    "output_gate": ({"sigmoid": {"per": "head"}},),
    "skip": ({"hyper": {"streams": 3, "dynamic": False}},),
}
"""Settings worth a test of every property besides the options as they stand in conf/."""


def compose(*overrides: str) -> dict[str, Any]:
    """What `python train.py OVERRIDES` would be given."""
    return copy.deepcopy(_compose(overrides))


@cache
def _compose(overrides: tuple[str, ...]) -> dict[str, Any]:
    return build.resolve(_composition()(list(overrides)))


@cache
def _composition() -> Compose:
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        return composition(loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN), loader)


def options(axis: str) -> list[str]:
    """Every option of an axis, from the names of its files."""
    return sorted(path.stem for path in (conf_dir() / AXES[axis].group).glob("*.yaml"))


def part(axis: str, option: str, **knobs: Any) -> dict[str, Any]:
    """The yaml of an option, with some knobs changed."""
    config = copy.deepcopy(_option(AXES[axis].group, option))
    assert knobs.keys() <= config.keys()
    return {**config, **knobs}


@cache
def _option(group: str, option: str) -> dict[str, Any]:
    config = OmegaConf.to_container(OmegaConf.load(conf_dir() / group / f"{option}.yaml"))
    assert isinstance(config, dict)
    return config


@cache
def plain_softmax() -> dict[str, Any]:
    """The parts of an attention that is built alone: of each axis of the softmax, the option that changes nothing."""
    axes = ("qk_norm", "output_gate", "sinks", "softcap")
    return {axis: build.construct({axis: part(axis, "none")}, axis) for axis in axes}


def cases(axis: str) -> list[dict[str, Any]]:
    """Every option of an axis and every setting in KNOBS."""
    chosen = [part(axis, option) for option in options(axis)]
    return chosen + [part(axis, option, **knobs) for entry in KNOBS.get(axis, ()) for option, knobs in entry.items()]


def beside_each_other(axis: str, case: dict[str, Any], other: str) -> bool:
    """Whether another axis means anything beside an option."""
    return other not in meaningless({"backbone": part("backbone", "transformer"), axis: case})


def gpt(dims: Dims = TINY, *, seed: int | None = 0, **parts: str | dict[str, Any]) -> Backbone:
    """The baseline with some axes changed, in evaluation mode; without initial weights where the seed is None."""
    assert parts.keys() <= set(MODEL) <= baseline().keys()
    chosen = {axis: parts.get(axis, baseline()[axis]) for axis in MODEL}
    config = {axis: part(axis, choice) if isinstance(choice, str) else choice for axis, choice in chosen.items()}
    model = build.gpt(config, dims)
    if seed is not None:
        model.init_weights(seed)
    return model.eval()


def beside(axis: str, case: str | dict[str, Any]) -> dict[str, str]:
    """What has to be chosen with an option that the baseline's other options refuse: a norm, for one that places it."""
    try:
        gpt(seed=None, **{axis: case})
    except ValueError:
        return {"norm": "ln"}
    return {}


def context(model: Backbone, seq_len: int) -> Context:
    """That of a forward pass over whole sequences, for parts that are called alone."""
    return Context(FromTheStart(seq_len), Reports(), {"pos": model.pos, "kernel": model.kernel, "skip": model.skip})


ROUNDING = 1e-9
"""What equal functions may differ by in float64, relative and absolute.

Their last digits depend on the processor: orders of summation, fused multiplications. The shaken model enlarges what
one rounding does by a few thousand, to 1e-12; a wrong formula is off by 1e-3 and more.
"""


FLOATING_POINT_ORDER = 2e-5
"""What another order of float32 sums may move a loss by within a dozen steps, relatively.

Golden runs in float32 end 8e-6 from the same in float64 at worst (rotary positions at a high rate; most below 1e-7),
and 5e-6 from those of a processor of another maker.
"""


def assert_same(actual: Any, expected: Any) -> None:
    """Equal up to the rounding of float64, which both must be computed in."""
    for tensor in actual if isinstance(actual, tuple) else (actual,):
        for part in tensor.values() if isinstance(tensor, dict) else (tensor,):
            assert part.dtype == torch.float64
    torch.testing.assert_close(actual, expected, atol=ROUNDING, rtol=ROUNDING)


def shaken(model: Shaken) -> Shaken:
    """The model in float64, every parameter, bias and gain drawn so large that it matters to the logits."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model.double()


def tokens(batch: int, dims: Dims = TINY, seq_len: int | None = None) -> torch.Tensor:
    """The same random tokens each time."""
    generator = torch.Generator().manual_seed(7)
    return torch.randint(dims.vocab_size, (batch, seq_len or dims.seq_len), generator=generator)


class Time:
    """Stands where the training clock reads the machine's: it stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("algoprog.training.clock.time", self)

    def perf_counter(self) -> float:
        return self.now


@contextmanager
def unchecked_shapes() -> Iterator[None]:
    """Shapes and types of the model's calls are not checked within."""
    before = jaxtyping_config.jaxtyping_disable
    jaxtyping_config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping_config.update("jaxtyping_disable", before)
