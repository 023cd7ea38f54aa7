"""Names and identity of a run follow from its configuration and from nothing else."""

from __future__ import annotations

import pytest

from algoprog.config import AXES, EXECUTION, conf_dir
from algoprog.variant import baseline, cohort, model_name, option, protocol, run_id, variant
from tests.configs import compose, options

SHA = "0" * 64


def test_baseline_is_the_defaults_list() -> None:
    assert baseline() == {
        "attention": "dense",
        "norm": "none",
        "final_norm": "ln",
        "pos": "learned",
        "mlp": "gelu",
        "kernel": "math",
    }


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ((), "none"),
        (("attention=mqa",), "mqa"),
        (("attention=mqa", "attention.n_kv_heads=2"), "mqa(n_kv_heads=2)"),
        (("attention=mqa", "attention.n_kv_heads=1"), "mqa"),
        (("attention=sparse", "attention.window=8", "attention.n_summary=2"), "sparse(window=8,n_summary=2)"),
        (("kernel=flash", "norm=ln", "pos=rope"), "ln+rope+flash"),
        (("pos=none",), "pos=none"),
        (("norm@final_norm=none",), "final_norm=none"),
        (("norm@final_norm=rmsnorm",), "final_norm=rmsnorm"),
        (("norm=rmsnorm", "norm@final_norm=rmsnorm"), "rmsnorm+final_norm=rmsnorm"),
        (("final_norm.eps=1e-3",), "final_norm=ln(eps=0.001)"),
        (("mlp.expansion=2",), "gelu(expansion=2)"),
        (("seed=1", "model=micro", "optim.lr=3e-4"), "none"),
    ],
)
def test_name(overrides: tuple[str, ...], name: str) -> None:
    assert variant(compose(*overrides)) == name


@pytest.mark.parametrize("path", sorted((conf_dir() / "variant").glob("*.yaml")), ids=lambda path: path.stem)
def test_arm_is_called_like_its_file(path) -> None:
    assert variant(compose(f"variant={path.stem}")) == path.stem


def test_there_are_the_seven_arms_of_the_paper() -> None:
    arms = {path.stem for path in (conf_dir() / "variant").glob("*.yaml")}
    assert arms == {"none", "flash", "ln", "rope", "mqa", "sparse", "ln+rope+flash"}


def test_names_tell_options_apart() -> None:
    changed = [(axis, name) for axis in AXES for name in options(axis) if name != baseline()[axis]]
    group = {"final_norm": "norm@final_norm"}
    names = [variant(compose(f"{group.get(axis, axis)}={name}")) for axis, name in changed]
    assert len(set(names)) == len(names)


def test_option_is_the_module() -> None:
    config = compose("attention=gqa", "norm@final_norm=rmsnorm")
    assert (option(config["attention"]), option(config["final_norm"])) == ("gqa", "rmsnorm")


def test_model_name_tells_what_was_changed() -> None:
    assert model_name(compose("model=micro")) == "micro"
    assert model_name(compose("model=micro", "model.n_layers=3")) == "micro(n_layers=3)"


@pytest.mark.parametrize(
    "override",
    ["trainer=cpu", "trainer.threads=1", "trainer.compile=true", "logger=wandb", "cache_dir=elsewhere", "role=search"],
)
def test_run_id_ignores_how_a_run_is_executed(override: str) -> None:
    assert run_id(compose(override), SHA) == run_id(compose(), SHA)
    assert cohort(compose(override), SHA) == cohort(compose(), SHA)


@pytest.mark.parametrize(
    "override",
    [
        "model.n_layers=3",
        "model.dropout=0.1",
        "tokenizer=bytes",
        "optim.lr=3e-4",
        "optim.betas=[0.9,0.99]",
        "schedule=wsd",
        "schedule.final_fraction=0",
        "budget.steps=7",
        "evaluation.tokens=1024",
        "batch_size=32",
        "micro_batch_size=8",
        "gradient_clip=0.5",
        "precision=bf16-mixed",
    ],
)
def test_what_changes_a_curve_changes_run_id_and_cohort(override: str) -> None:
    assert run_id(compose(override), SHA) != run_id(compose(), SHA)
    assert cohort(compose(override), SHA) != cohort(compose(), SHA)


@pytest.mark.parametrize("override", ["seed=1", "attention=mqa", "mlp.expansion=2", "norm@final_norm=none"])
def test_axes_and_seed_change_run_id_within_one_cohort(override: str) -> None:
    assert run_id(compose(override), SHA) != run_id(compose(), SHA)
    assert cohort(compose(override), SHA) == cohort(compose(), SHA)


def test_data_count_by_their_content() -> None:
    config = compose()
    elsewhere = {**config, "data": {"path": "the same text in another place"}}
    assert run_id(elsewhere, SHA) == run_id(config, SHA)
    assert run_id(config, "1" * 64) != run_id(config, SHA)
    assert cohort(config, "1" * 64) != cohort(config, SHA)


def test_run_id_does_not_depend_on_the_order_of_keys() -> None:
    config = compose("attention=sparse")
    turned = {key: config[key] for key in reversed(config)}
    turned["attention"] = dict(reversed(config["attention"].items()))
    assert run_id(turned, SHA) == run_id(config, SHA)


def test_every_top_level_key_is_identity_or_execution() -> None:
    """A key added to the schema lands in the hash unless somebody says that it cannot change a result."""
    config = compose()
    for key in config.keys() - {*EXECUTION, "data"}:
        assert run_id({**config, key: "changed"}, SHA) != run_id(config, SHA), key


def test_a_protocol_names_what_a_ladder_shares_and_nothing_that_it_may_change() -> None:
    small, large = (protocol(compose(*words)) for words in (("model=nano", "seed=1"), ("model=mini", "norm=ln")))
    assert small == large
    assert protocol(compose("model=nano", "optim.lr=1e-2"))["optim.lr"] == 1e-2
    assert protocol(compose("model=compact"))["model.seq_len"] != small["model.seq_len"]
    assert small["schedule"] == "Cosine"
    assert not {"budget.steps", "trainer.devices", "attention", "model.d_model", "seed"} & small.keys()
