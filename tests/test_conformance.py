"""Every yaml of conf/ against the code it names: a new option is held to this without a line added here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch
from hydra.utils import get_object
from omegaconf import OmegaConf
from torch.utils._pytree import tree_leaves

from algoprog import build
from algoprog.axes import AXES, MODEL
from algoprog.config import Baseline, BudgetConfig, Config, EvaluationConfig, ModelConfig, TrainerConfig, conf_dir
from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone, Block
from algoprog.model.interface.mixer import Attention, Mixer, Mlp
from algoprog.model.interface.part import Adapting, Kernel, Norm, Position
from algoprog.model.interface.reports import Reports, key
from algoprog.model.interface.softmax import OutputGate, Sinks, Softcap
from algoprog.model.interface.wiring import Head, Skip
from algoprog.variant import option
from tests.configs import TINY, beside, compose, gpt, part, shaken, tokens
from tests.model.counting import counted

CONTRACTS = {
    "backbone": Backbone,
    "block": Block,
    "mixer": Mixer,
    "attention": Attention,
    "norm": Norm,
    "pos": Position,
    "mlp": Mlp,
    "kernel": Kernel,
    "output_gate": OutputGate,
    "sinks": Sinks,
    "softcap": Softcap,
    "skip": Skip,
    "head": Head,
}
COUNTS = {
    "backbone": 2,
    "block": 4,
    "mixer": 2,
    "attention": 5,
    "norm": 3,
    "pos": 5,
    "mlp": 5,
    "kernel": 2,
    "output_gate": 2,
    "sinks": 2,
    "softcap": 2,
    "skip": 4,
    "head": 2,
    "optim": 2,
    "objective": 3,
    "init": 3,
    "schedule": 4,
    "logger": 4,
}
SCHEMAS = {"model": ModelConfig, "budget": BudgetConfig, "evaluation": EvaluationConfig, "trainer": TrainerConfig}
PRESETS = {"nano", "micro", "mini", "small", "medium", "compact", "full"}

FILES = [path for group in COUNTS for path in sorted((conf_dir() / group).glob("*.yaml"))]
OPTIONS = [path for path in FILES if path.parent.name in CONTRACTS]
MAYBE_GLOBAL = [path for group in SCHEMAS for path in sorted((conf_dir() / group).glob("*.yaml"))]

GIVEN = {axis: 2 if axis in ("backbone", "block", "mixer", "attention") else 1 for axis in CONTRACTS} | {
    "optim": 0,
    "objective": 0,
    "init": 0,
    "schedule": 0,
    "logger": 0,
}
"""Positional parameters, which the program hands over; everything else is yaml's."""


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def load(path: Path) -> dict[str, Any]:
    config = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(config, dict)
    if "/" in str(config.get("defaults", "")):  # of the whole configuration, not of one group
        return config
    shared = [name for name in config.pop("defaults", []) if name != "_self_"]
    return {key: value for name in shared for key, value in load(path.with_stem(name)).items()} | config


@cache
def knobs(path: Path) -> dict[str, Any]:
    return {key: value for key, value in load(path).items() if not key.startswith("_")}


KNOBS = [
    pytest.param(axis, path.stem, knob, id=f"{axis}={path.stem}.{knob}")
    for axis in MODEL
    for path in OPTIONS
    for knob in knobs(path)
    if path.parent.name == AXES[axis].group
]
SCHEDULE_KNOBS, OPTIM_KNOBS, INIT_KNOBS, OBJECTIVE_KNOBS = (
    [
        pytest.param(path, knob, id=f"{path.stem}.{knob}")
        for path in FILES
        if path.parent.name == group
        for knob in knobs(path)
    ]
    for group in ("schedule", "optim", "init", "objective")
)


WIDE = replace(TINY, d_model=32, n_layers=4, seq_len=40)
"""With heads of which a half has more than one wavelength, layers for patterns of them, and a context for shares."""

WARMUPS = {"warmup_steps": 5, "warmup_fraction": 0.1}
"""Exactly one is set."""


def test_all_are_found() -> None:
    found = {group: sum(path.parent.name == group for path in FILES) for group in COUNTS}
    assert all(found[group] >= least for group, least in COUNTS.items()), "globbing missed some"
    assert len(KNOBS) >= 12


def test_every_axis_has_a_folder_and_every_folder_a_meaning() -> None:
    axes = {AXES[axis].group for axis in MODEL}
    assert axes == CONTRACTS.keys()
    training = {axis.group for axis in AXES.values() if axis.owner != "model"}
    run = training | {"model", "budget", "evaluation", "trainer", "logger"}
    assert {path.name for path in conf_dir().iterdir() if path.is_dir()} == axes | run | {
        "baseline",
        "variant",
        "design",
        "tune",
        "experiment",
        "hydra",
    }
    packages = {path.parent.name for path in Path(inspect.getfile(Dims)).parent.glob("*/__init__.py")}
    assert packages == axes | {"interface", "recurrence"}


@pytest.mark.parametrize("axis", CONTRACTS)
def test_every_module_of_an_axis_has_a_yaml(axis: str) -> None:
    package = Path(str(import_module(f"algoprog.model.{axis}").__file__)).parent
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert modules == {path.stem for path in OPTIONS if path.parent.name == axis}


@pytest.mark.parametrize("path", OPTIONS, ids=name)
def test_option_is_named_alike_everywhere(path: Path) -> None:
    axis, target = path.parent.name, load(path)["_target_"]
    assert target.rpartition(".")[0] == f"algoprog.model.{axis}.{path.stem}"
    assert option(load(path)) == path.stem
    built = get_object(target)
    assert issubclass(built if isinstance(built, type) else get_type_hints(built)["return"], CONTRACTS[axis])


@pytest.mark.parametrize("path", FILES, ids=name)
def test_yaml_and_constructor_agree(path: Path) -> None:
    """The rule of the star: before it what the program hands over, after it what yaml owns, no default anywhere."""
    config = load(path)
    parameters = inspect.signature(get_object(config["_target_"])).parameters.values()
    assert [p.name for p in parameters if p.default is not p.empty] == []
    assert {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} == knobs(path).keys()
    given = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(given) == GIVEN[path.parent.name]
    assert len(given) + len(knobs(path)) == len(parameters), "no *args, no **kwargs"
    assert config.get("_partial_", False) is bool(given), "partial exactly where something is handed over"
    assert config.keys() == knobs(path).keys() | ({"_target_", "_partial_"} if given else {"_target_"})
    most = {"optim": 7, "mlp": 6}.get(path.parent.name, 5)  # one for matrices has a rule for all else, experts a router
    assert len(knobs(path).keys() - {"warmup_fraction"}) <= most, "of two that replace each other one counts"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_docstrings_explain(path: Path) -> None:
    target = get_object(load(path)["_target_"])
    doc = inspect.getdoc(target)
    assert doc
    assert target.__doc__, "its own, not the contract's"
    published = path.parent.name in CONTRACTS or path.parent.name in ("optim", "objective", "init")
    if published and name(path) != "norm/none":
        assert "Source:" in doc
    for knob in knobs(path) if path.parent.name in CONTRACTS else ():
        assert f"{knob}:" in doc, f"the meaning of {knob}"


@pytest.mark.parametrize(("axis", "stem", "knob"), KNOBS)
def test_no_knob_is_dead(axis: str, stem: str, knob: str) -> None:
    """Some other value of the knob must change the parameters, the FLOPs or the output."""
    with_it = beside(axis, stem)
    as_is = behaviour(**{axis: part(axis, stem)}, **with_it)
    others = list(accepted(axis, stem, knob, with_it))
    assert others, "no other value is accepted"
    assert any(behaviour(**{axis: other}, **with_it) != as_is for other in others)


def behaviour(**parts: str | dict[str, Any]) -> tuple[Any, ...]:
    """Everything by which two models could be told apart."""
    model = gpt(WIDE, **parts)
    first = [(path, tuple(own.shape), own.double().sum().item()) for path, own in model.named_parameters()]
    shaken(model)
    length = TINY.seq_len if model.bounded_by else 2 * WIDE.seq_len
    with torch.no_grad():
        # Small activations, so that the epsilon of a norm is not lost in rounding.
        model.embedding.table.weight.mul_(0.02)
        logits = model(tokens(1, seq_len=length))
        told = trained_upon(model)
    if model.of_whole_batches:
        logits = trained_for_a_while(model)(tokens(1))
    return first, model.flops_per_token(), model.attention_density(), logits.double().sum().item(), told


def trained_for_a_while(model: Backbone) -> Backbone:
    """What a model evaluates to after some steps without an update."""
    for seq_len in range(1, 12):
        model.train()(tokens(2, seq_len=seq_len))
    return model.eval()


def trained_upon(model: Backbone) -> tuple[float, list[float]]:
    """What the parts add to the objective, and the buffers of those that adapt after one step."""
    reports = Reports()
    model(tokens(1), reports)
    adapting = [(path, each) for path, each in model.parts().items() if isinstance(each, Adapting)]
    for _, each in adapting:
        each.adapt({name: reports.statistics[key(each.site.layer, name)] for name in each.statistics()})
    buffers = [buffer.abs().sum().item() for _, each in adapting for buffer in each.buffers()]
    return float(sum(reports.losses, start=torch.zeros(()))), buffers


def accepted(axis: str, stem: str, knob: str, with_it: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The option with another value of the knob, for every other value that its constructor takes."""
    for value in candidates(axis, stem, knob):
        other = part(axis, stem, **{knob: value})
        try:
            gpt(seed=None, **{axis: other}, **with_it)
        except ValueError:
            continue
        yield other


def candidates(axis: str, stem: str, knob: str) -> list[Any]:
    value = part(axis, stem)[knob]
    if value is None:
        return [0.5, 1]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value * 2, value + 1, value / 2 if isinstance(value, float) else max(1, value // 2)]
    assert isinstance(value, str), "a new kind of knob: say here how to change it"
    with pytest.raises(ValueError, match=rf"{AXES[axis].group}\.{knob}=nonsense") as refusal:
        gpt(seed=None, **{axis: part(axis, stem, **{knob: "nonsense"})})
    words = str(refusal.value).partition("must be")[2].replace(",", " ").split()  # the sentence names alternatives
    return [number for word in words if (number := int(word) if word.isdigit() else word) != value]


@pytest.mark.parametrize("size", [field.name for field in fields(Dims)])
def test_no_size_is_dead(size: str) -> None:
    changes = {"d_model": 32, "n_layers": 3, "n_heads": 2, "seq_len": 14, "vocab_size": 64, "dropout": 0.5}
    dims = replace(TINY, **({"bias": False} if size == "bias" else {size: changes[size]}))

    def outcome(dims: Dims) -> tuple[Any, ...]:
        model = shaken(gpt(dims)).train()
        torch.manual_seed(0)
        return sum(p.numel() for p in model.parameters()), model(tokens(1)).sum().item()

    assert outcome(dims) != outcome(TINY)


@pytest.mark.parametrize("path", MAYBE_GLOBAL, ids=name)
def test_preset_sets_every_field_of_its_schema(path: Path) -> None:
    group = path.parent.name
    config = load(path)
    keys = config.get(group, config).keys()  # budget=smoke reaches further than its group
    assert keys == {field.name for field in fields(SCHEMAS[group])}


def test_schema_owns_no_value() -> None:
    for schema in (Config, *SCHEMAS.values()):
        assert {field.default for field in fields(schema) if field.name != "baseline"} == {"???"}
    moved = {field.default for field in fields(Baseline)}
    assert moved == {"???", None}  # its name, and the axes that nobody has moved in it


def test_presets_of_the_model() -> None:
    assert {path.stem for path in (conf_dir() / "model").glob("*.yaml")} == PRESETS
    assert {field.name for field in fields(Dims)} - {"vocab_size"} == {f.name for f in fields(ModelConfig)} - {"name"}
    for preset in PRESETS:
        config = load(conf_dir() / "model" / f"{preset}.yaml")
        assert config.pop("name") == preset
        assert Dims(vocab_size=64, **config).d_head % 2 == 0, "rope works at every size"


def test_the_ladder_differs_in_size_only() -> None:
    ladder = [load(conf_dir() / "model" / f"{preset}.yaml") for preset in ("nano", "micro", "mini", "small", "medium")]
    for config in ladder:
        assert (config["seq_len"], config["dropout"], config["bias"]) == (256, 0.0, True)
        assert config["d_model"] // config["n_heads"] == 32
    assert [config["d_model"] for config in ladder] == sorted(config["d_model"] for config in ladder)


def test_paper_sizes() -> None:
    keys = ("n_layers", "n_heads", "d_model", "seq_len", "dropout", "bias")
    for preset, sizes in (("compact", (6, 6, 384, 512, 0.2, True)), ("full", (10, 12, 768, 1024, 0.4, True))):
        assert tuple(compose(f"model={preset}")["model"][key] for key in keys) == sizes


@pytest.mark.parametrize(("path", "knob"), SCHEDULE_KNOBS)
def test_no_knob_of_a_schedule_is_dead(path: Path, knob: str) -> None:
    config = load(path)
    if knob == "branch_ratio":
        config["branches"] = 2  # the ratio of a budget to itself says nothing
    if knob in WARMUPS:
        config.update({**dict.fromkeys(WARMUPS), knob: WARMUPS[knob]})
    before = 2 if config[knob] == "auto" else config[knob]
    other = {**config, knob: before + (1 if isinstance(before, int) else 0.05)}

    def plan(config: dict[str, Any]) -> tuple[object, ...]:
        schedule = build.construct({"schedule": config}, "schedule")
        return schedule.branches(500), [schedule.factor(step, 500) for step in range(500)]

    assert plan(other) != plan(config)


@pytest.mark.parametrize(("path", "knob"), OPTIM_KNOBS)
def test_no_knob_of_an_optimizer_is_dead(path: Path, knob: str) -> None:
    config = load(path)
    changed = {"betas": [0.8, 0.95], "eps": 1e-3, "nesterov": False, "ns_steps": 3, "momentum": 0.8}
    changed |= {"slow_beta": 0.95, "every": 1}
    other = {**config, knob: changed[knob] if knob in changed else 2 * config[knob] or 0.1}

    def trained(config: dict[str, Any]) -> float:
        model = gpt()
        optimizer = build.construct({"optim": config}, "optim")(model.parameters_by_role())
        for _ in range(3):
            model(tokens(1)).square().sum().backward()
            optimizer.step()
        return sum(parameter.double().sum().item() for parameter in model.parameters())

    assert trained(other) != trained(config)


@pytest.mark.parametrize(("path", "knob"), INIT_KNOBS)
def test_no_knob_of_initial_weights_is_dead(path: Path, knob: str) -> None:
    """It changes weights, or what the rule scales beside them."""
    config = load(path)

    def begun(config: dict[str, Any]) -> tuple[float, object]:
        model = gpt(seed=None)
        model.init_weights(0, build.construct({"init": config}, "init"))
        return sum(parameter.double().abs().sum().item() for parameter in model.parameters()), model.scales

    assert begun({**config, knob: 2 * config[knob]}) != begun(config)


@pytest.mark.parametrize(("path", "knob"), OBJECTIVE_KNOBS)
def test_no_knob_of_an_objective_is_dead(path: Path, knob: str) -> None:
    """It changes what is added to a loss, or how far training looks ahead."""
    config, targets = load(path), tokens(1).flatten()
    logits = gpt()(tokens(1)).detach().flatten(0, 1).double()

    def sought(config: dict[str, Any]) -> tuple[float, int]:
        objective = build.construct({"objective": config}, "objective")
        return float(objective.added(logits, targets)), objective.ahead

    assert sought({**config, knob: 2 * config[knob]}) != sought(config)


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "optim"], ids=name)
def test_state_and_products_of_an_optimizer_are_what_it_says(path: Path) -> None:
    """For one that keeps and multiplies nothing else, of every parameter."""
    model = gpt(mlp="swiglu", attention="gqa", norm="ln")
    recipe, declared = build.construct({"optim": load(path)}, "optim"), model.parameters_by_role()
    optimizer = recipe(declared)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(declared)
    model(tokens(1)).square().sum().backward()
    optimizer.step()  # the first of some is another
    period = load(path).get("every", 1)
    products = counted(lambda: [optimizer.step() for _ in range(period)])
    assert products == pytest.approx(period * sum(recipe.flops(own) for own in declared), rel=1e-9)
    for own in declared:
        state = {name: value for name, value in optimizer.state[own.parameter].items() if name != "step"}
        kept = [value for value in tree_leaves(state) if isinstance(value, torch.Tensor)]
        assert sum(value.nbytes for value in kept) == recipe.state_bytes(own)
